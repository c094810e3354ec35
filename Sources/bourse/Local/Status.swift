import ArgumentParser
import Foundation

/// One program in `bourse status`.
private struct ProgramStatus: Encodable {
    var name: String
    var pid: Int32?
    var url: String
    var state: String
}

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what of the cloud runs on this machine.")
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let home = LocalHome()
        guard let state = try home.load() else { throw Failure(text: "There is no cloud under \(home.path) yet: run `bourse up`.") }
        var rows: [ProgramStatus] = []
        for program in LocalProgram.all(state, home) {
            rows.append(ProgramStatus(name: program.name, pid: program.pid, url: program.url, state: await program.state()))
        }
        try output.list(rows, columns: ["name", "pid", "url", "state"]) { [$0.name, $0.pid.map(String.init) ?? "-", $0.url, $0.state] }
    }
}
