import CloudAPI
import CloudClient
import Exchange
import Foundation
import Logging
import Market
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

/// How many orders a second an exchange takes that are on disk before they are acknowledged: from callers in its own process, and
/// over HTTP. SQLite on this machine's disk, 64 callers at once, each waiting for its answer before it asks again.
struct OrdersBench {
    private let callers = 64
    private let inProcess = 100_000
    private let overHTTP = 20_000

    func measure() async throws -> [String: Double] {
        // Beside the build, which is on a disk; temporary files may be in memory.
        let folder = FileManager.default.currentDirectoryPath + "/.build/bench-orders-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var configuration = ExchangeConfiguration(name: "bench", dataDirectory: folder, databaseURL: "sqlite:\(folder)/exchange.db")
        configuration.operatorToken = "bt_bench"
        (configuration.publicPort, configuration.peerPort) = (0, 0)
        var logger = Logger(label: "bench")
        logger.logLevel = .error
        let service = try await ExchangeService(configuration, logger: logger)
        let group = ServiceGroup(services: service.services, logger: logger)
        let running = Task { try await group.run() }
        let result: Result<[String: Double], any Error>
        do {
            let market = try await Bourse(service, port: await service.publicPort.value())
            result = .success(try await figures(market))
        } catch {
            result = .failure(error)
        }
        await group.triggerGracefulShutdown()
        _ = await running.result
        return try result.get()
    }

    private func figures(_ market: Bourse) async throws -> [String: Double] {
        print("· \(inProcess) orders in process")
        let near = try await run(inProcess) { number in _ = try await market.service.place(market.draft(number)) }
        print("· until their rows are in the tables")
        let drained = try await timed { _ = try await market.service.storedStateHash() }
        print("· \(overHTTP) orders over HTTP")
        let far = try await overSockets(market)
        return figures(near, "durable_in_process").merging(figures(far, "durable_http")) { $1 }.merging([
            "durable_in_process_with_tables_per_s": Double(near.latencies.count) / (near.seconds + drained)
        ]) { $1 }
    }

    private func figures(_ run: Run, _ name: String) -> [String: Double] {
        print((["  latency of \(name):"] + run.latencies.lines).joined(separator: "\n"))
        return [
            "\(name)_per_s": Double(run.latencies.count) / run.seconds, "\(name)_p50_ms": run.milliseconds(50),
            "\(name)_p99_ms": run.milliseconds(99), "\(name)_p999_ms": run.milliseconds(99.9),
        ]
    }

    /// Each caller is a thread with a connection of its own.
    private func overSockets(_ market: Bourse) async throws -> Run {
        let each = overHTTP / callers
        let requests = try (0..<callers).map { caller in
            try (0..<each).map { number in
                let draft = market.draft(caller * each + number)
                let order = PlaceOrder(series: draft.series, side: .buy, type: .limit, price: draft.price, lots: draft.lots)
                return PlainClient.request("POST", "/v1/orders", token: market.token, body: try WireJSON.encode(order))
            }
        }
        let clients = try (0..<callers).map { _ in try PlainClient(port: market.port) }
        let start = ContinuousClock.now
        let all = try await withThrowingTaskGroup(of: LatencyHistogram.self) { group in
            for (client, own) in zip(clients, requests) {
                group.addTask {
                    try await Self.onThread {
                        try own.reduce(into: LatencyHistogram()) { $0.add(try Self.latency(of: $1, by: client)) }
                    }
                }
            }
            return try await group.reduce(into: LatencyHistogram()) { $0.add($1) }
        }
        let seconds = (ContinuousClock.now - start).inSeconds
        return Run(seconds: seconds, latencies: all)
    }

    private static func latency(of request: [UInt8], by client: PlainClient) throws -> Duration {
        let begun = ContinuousClock.now
        let status = try client.send(request)
        guard status == 201 else { throw BenchError(text: "an order was answered with \(status)") }
        return ContinuousClock.now - begun
    }

    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { caller in
            Thread.detachNewThread { caller.resume(with: Result { try body() }) }
        }
    }

    private func timed(_ body: () async throws -> Void) async throws -> Double {
        let start = ContinuousClock.now
        try await body()
        return (ContinuousClock.now - start).inSeconds
    }

    private struct Run {
        var seconds: Double
        var latencies: LatencyHistogram
        func milliseconds(_ percent: Double) -> Double { Double(latencies.percentile(percent)) / 1_000 }
    }

    private func run(_ count: Int, _ order: @escaping @Sendable (Int) async throws -> Void) async throws -> Run {
        let start = ContinuousClock.now
        let each = count / callers
        let all = try await withThrowingTaskGroup(of: LatencyHistogram.self) { group in
            for caller in 0..<callers {
                group.addTask {
                    var taken = LatencyHistogram()
                    for number in 0..<each {
                        let begun = ContinuousClock.now
                        try await order(caller * each + number)
                        taken.add(ContinuousClock.now - begun)
                    }
                    return taken
                }
            }
            return try await group.reduce(into: LatencyHistogram()) { $0.add($1) }
        }
        let seconds = (ContinuousClock.now - start).inSeconds
        return Run(seconds: seconds, latencies: all)
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

/// A market with one rich buyer and one series.
private struct Bourse {
    let service: ExchangeService
    let port: Int
    let token: String
    let buyer: ParticipantID
    let series: SeriesID

    init(_ service: ExchangeService, port: Int) async throws {
        self.service = service
        self.port = port
        let admin = try CloudClient(base: "http://127.0.0.1:\(port)", authentication: .bearer("bt_bench"))
        buyer = try await admin.call(
            ExchangeAPI.createParticipant, body: CreateParticipant(name: "Buyer", roles: [.buyer], currency: .eur)
        ).id
        let path = ["participant": buyer.description]
        _ = try await admin.call(
            ExchangeAPI.transfer, path: path, body: Transfer(amount: Money(microUnits: 1_000_000_000_000, .eur), reference: "bench"))
        _ = try await admin.call(
            ExchangeAPI.createProduct,
            body: ProductDefinition(
                name: "general.bench", unitClass: "general", lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480),
                region: "bench", zone: nil, jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm, slaProfile: "standard",
                largestOversubscription: 4_000, currency: .eur, spotPeriodSeconds: 3_600, forwards: .spotOnly))
        token = try await admin.call(ExchangeAPI.createParticipantToken, path: path, body: CreateToken(description: "bench")).token
        guard let first = try await admin.items(of: ExchangeAPI.listSeries).first else { throw BenchError(text: "there is no series") }
        series = first.id
        await admin.shutdown()
    }

    /// Rests somewhere among a hundred prices.
    func draft(_ number: Int) -> OrderDraft {
        OrderDraft(
            participant: buyer, series: series, side: .buy, lifetime: .limit, price: 10_000 + Int64(number % 100) * 10,
            lots: 1 + Int64(number % 5))
    }
}
