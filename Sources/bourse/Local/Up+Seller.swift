import CloudAPI
import CloudClient
import Foundation
import Primitives

extension CloudBuilder {
    mutating func datacenter(imageFolder: String) async throws {
        try await connect()
        if state.image == nil {
            step("giving the datacenter its guest image")
            let path = URL(fileURLWithPath: imageFolder).standardizedFileURL.path
            state.image = try await using(.connect) {
                try await $0.call(ConnectAPI.importImage, body: ImportImage(folder: path), deadline: .seconds(300))
            }.id
            try save()
        }
        try await node()
        try await asks()
    }

    private func connect() async throws {
        let connect = try program("connect")
        var secrets = ["BOURSE_OPERATOR_TOKEN": state.connectToken]
        let arguments = [
            "--name", "Nordlicht DC 1", "--region", CloudState.region, "--zone", CloudState.zone, "--exchange",
            state.address(of: .exchange).url,
            "--port", "\(state.ports.connect)", "--peer-port", "\(state.ports.connectPeer)",
            "--memory-oversubscription", "\(oversubscription.memory)", "--disk-oversubscription", "\(oversubscription.disk)",
        ]
        if connect.pid == nil {
            step("starting the seller's connect")
            if !enrolled("connect") { secrets["BOURSE_ENROLMENT_TOKEN"] = try await enrolment(state.seller, .connect) }
        }
        try connect.start(arguments, secrets: secrets)
        try await connect.waitUntilReady()
    }

    private func node() async throws {
        let node = try program("node")
        var secrets: [String: String] = [:]
        // The only host: its tunnels lead nowhere, and tenants' networks are all here.
        let arguments = ["--connect", state.address(of: .connect).url, "--port", "\(state.ports.node)", "--tunnel-address", "127.0.0.1"]
        if node.pid == nil {
            step("starting the node on this host")
            if !enrolled("node") {
                secrets["BOURSE_ENROLMENT_TOKEN"] =
                    try await using(.connect) { try await $0.call(ConnectAPI.createNodeEnrolment, body: CreateNodeEnrolment()) }.token
            }
        }
        try node.start(arguments, secrets: secrets)
        try await node.waitUntilReady(limit: .seconds(120))
        try await until("the host joins its pod") {
            try await using(.connect) { try await $0.items(of: ConnectAPI.listHosts) }.contains { $0.state == "up" }
        }
    }

    private mutating func asks() async throws {
        guard !state.asked, let series = state.series else { return }
        let hosts = try await using(.connect) { try await $0.items(of: ConnectAPI.listHosts) }
        let lots = hosts.map { $0.capacity.wholeLots(of: Self.product.lot) }.reduce(0, +)
        guard lots > 0 else {
            let lot = Self.product.lot
            throw Failure(
                text:
                    "This host cannot deliver one lot of \(Self.product.name): \(lot.memoryMiB) MiB memory and \(lot.diskMiB) MiB disk are needed."
            )
        }
        // Two price levels, so that the book shows something to compare.
        let cheap = max(1, lots / 2)
        step("offering \(counted(lots, "lot")) on the exchange")
        try await ask(series, lots: cheap, price: 40_000)
        if lots > cheap { try await ask(series, lots: lots - cheap, price: 45_000) }
        state.asked = true
        try save()
    }

    private func ask(_ series: SeriesID, lots: Int64, price: Int64) async throws {
        // The datacenter registers itself at the exchange when it starts; the first ask may come a moment too early.
        try await until("the exchange knows the datacenter") {
            do {
                _ = try await using(.connect) {
                    try await $0.call(
                        ConnectAPI.createAsk, body: CreateAsk(series: series, lots: lots, price: price), idempotencyKey: "up-ask-\(price)")
                }
                return true
            } catch let problem as ProblemDocument where problem.category == .notFound || problem.category == .unavailable {
                return false
            }
        }
    }

    func enrolled(_ program: String) -> Bool { FileManager.default.fileExists(atPath: home.folder("\(program)/identity/identity.json")) }

    func until(_ what: String, limit: Duration = .seconds(60), _ condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while .now < deadline {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw Failure(text: "Waited \(limit) in vain until \(what).")
    }
}
