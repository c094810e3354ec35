import ArgumentParser
import Foundation

/// Stops what `bourse up` started: programs, guests and the guests' network. Data stays.
struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop the cloud on this machine, with its machines; `bourse up` finds everything again.")

    func run() async throws {
        let home = LocalHome()
        guard let state = try home.load() else { return print("There is no cloud under \(home.path); nothing to stop.") }
        let programs = LocalProgram.all(state, home)
        for name in ["manage", "node", "connect", "exchange"] {
            guard let program = programs.first(where: { $0.name == name }), program.pid != nil else { continue }
            print("· stopping \(name)")
            await program.stop()
            if name == "node" { try await clearHost(home) }
        }
        try await clearHost(home)
        print("Stopped. The data is under \(home.path).")
    }

    private func clearHost(_ home: LocalHome) async throws {
        guard FileManager.default.fileExists(atPath: home.folder("node/machines")) else { return }
        var shutDown = NodeCommand.ShutDown()
        shutDown.data = home.folder("node")
        shutDown.hostOptions = try NodeCommand.HostOptions.parse([])
        try await shutDown.run()
    }
}
