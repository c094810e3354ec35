import ArgumentParser
import CloudAPI
import Foundation

/// Writes the OpenAPI documents of the programs, made from their endpoints.
struct OpenAPICommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "openapi", abstract: "Write the programs' OpenAPI documents.")

    @Option(help: "Folder to write to.") var output = "."

    func run() throws {
        try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        for document in try OpenAPI.documents() {
            try document.json.write(to: URL(fileURLWithPath: "\(output)/\(document.name).json"), options: .atomic)
        }
    }
}
