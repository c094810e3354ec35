import ArgumentParser
import CloudAPI
import CloudClient
import Crypto
import Foundation
import Primitives

extension ProductCommand {
    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Operator: list the products of a catalogue file.",
            discussion: """
                The file is {"products": [{"definition": {…}, "slaDocument": "…", "legalDocuments": ["…"], "certification": "required"}]}. A \
                document is the SHA-256 of one that is stored, or file:PATH, which stores it. A product that has changed becomes a \
                new version; the one before takes no more orders, and its contracts go on.
                """)
        @Option(help: "The catalogue, JSON.") var file: String
        @Flag(help: "Say what would be done, and do nothing.") var plan = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let data = FileManager.default.contents(atPath: file) else { throw ValidationError("The file '\(file)' cannot be read.") }
            var catalogue: ApplyCatalogue
            do {
                catalogue = try WireJSON.decode(ApplyCatalogue.self, from: data)
            } catch {
                throw Failure(text: "\(file): \(WireJSON.explain(error)).")
            }
            catalogue.planOnly = plan
            let done = try await Target.exchange.with { [catalogue] client in
                var stored = catalogue
                for index in stored.products.indices {
                    stored.products[index].slaDocument = try await stored.products[index].slaDocument.asyncMap {
                        try await store($0, client)
                    }
                    var legal: [String] = []
                    for document in stored.products[index].legalDocuments ?? [] { legal.append(try await store(document, client)) }
                    stored.products[index].legalDocuments = legal.isEmpty ? nil : legal
                }
                return try await client.call(ExchangeAPI.applyCatalogue, body: stored)
            }
            try output.list(done.steps, columns: ["product", "action", "version", "differences"]) {
                [$0.name, $0.action.rawValue, "\($0.version)", $0.differences.joined(separator: ", ")]
            }
        }

        /// The hash a catalogue refers to: `file:PATH` is stored first, beside the catalogue when the path is relative.
        private func store(_ reference: String, _ client: CloudClient) async throws -> String {
            guard reference.hasPrefix("file:") else { return reference }
            let folder = URL(fileURLWithPath: file).deletingLastPathComponent()
            return try await DocumentCommand.store(URL(fileURLWithPath: String(reference.dropFirst(5)), relativeTo: folder), client).hash
        }
    }

    struct Versions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List all versions of the catalogue's products.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listCatalogue) }
                .sorted { ($0.name, $0.version) < ($1.name, $1.version) }
            try output.list(items, columns: ["name", "version", "product", "listed", "state", "certification", "terms"]) {
                [
                    $0.name, "\($0.version)", $0.product.description, timeText($0.created),
                    $0.supersededBy.map { "closed by version \($0)" } ?? "listed", $0.entry.certification?.rawValue ?? "none",
                    String($0.termsHash.prefix(16)),
                ]
            }
        }
    }
}

extension Optional where Wrapped == String {
    fileprivate func asyncMap(_ transform: (String) async throws -> String) async throws -> String? {
        guard let self else { return nil }
        return try await transform(self)
    }
}

struct DocumentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "document", abstract: "Documents that products refer to.", subcommands: [Put.self, Get.self])

    struct Put: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Operator: store a document; prints its SHA-256.")
        @Argument var file: String
        func run() async throws {
            print(try await Target.exchange.with { try await DocumentCommand.store(URL(fileURLWithPath: file), $0) }.hash)
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Write a document to standard output.")
        @Argument(help: "SHA-256") var hash: String
        func run() async throws {
            let view = try await Target.exchange.with { try await $0.call(ExchangeAPI.showDocument, path: ["hash": hash]) }
            guard let bytes = Data(base64Encoded: view.content), hexadecimal(bytes) == view.hash, view.hash == hash else {
                throw Failure(text: "The exchange sent other bytes than those with the SHA-256 \(hash).")
            }
            FileHandle.standardOutput.write(bytes)
        }
    }

    fileprivate static func store(_ file: URL, _ client: CloudClient) async throws -> DocumentView {
        guard let bytes = FileManager.default.contents(atPath: file.path) else {
            throw Failure(text: "The file '\(file.path)' cannot be read.")
        }
        let types = ["md": "text/markdown", "txt": "text/plain", "html": "text/html", "pdf": "application/pdf", "json": "application/json"]
        let document = PutDocument(
            name: file.lastPathComponent, mediaType: types[file.pathExtension.lowercased()] ?? "application/octet-stream",
            content: bytes.base64EncodedString())
        return try await client.call(ExchangeAPI.putDocument, path: ["hash": hexadecimal(bytes)], body: document)
    }

    /// SHA-256 in lower-case hexadecimal.
    private static func hexadecimal(_ data: Data) -> String {
        SHA256.hash(data: data).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
