import ArgumentParser
import CloudAPI
import CloudClient
import Foundation

/// Which program a command talks to: `BOURSE_<PROGRAM>_URL` and `_TOKEN`, else the cloud on this machine.
enum Target: String {
    case exchange, manage, connect

    /// Runs a body with a client and shuts the client down after it.
    func with<T>(_ body: (CloudClient) async throws -> T) async throws -> T {
        try await explained {
            let (url, token) = try address()
            return try await CloudClient(base: url, authentication: token.map { .bearer($0) } ?? .none, trustRootsPEM: trustRoots())
                .closing(body)
        }
    }

    private func address() throws -> (url: String, token: String?) {
        let environment = ProcessInfo.processInfo.environment
        let name = rawValue.uppercased()
        if let url = environment["BOURSE_\(name)_URL"] { return (url, environment["BOURSE_\(name)_TOKEN"]) }
        let home = LocalHome()
        guard let state = try home.load() else {
            throw Failure(
                text:
                    "No \(rawValue) to talk to: BOURSE_\(name)_URL is not set and there is no cloud under \(home.path).\nRun `bourse up` here, or eval \"$(bourse env)\"."
            )
        }
        return state.address(of: self)
    }

    private func trustRoots() -> String? {
        ProcessInfo.processInfo.environment["BOURSE_CA"].flatMap { FileManager.default.contents(atPath: $0) }.map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
