import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

/// Brings up the whole cloud on this machine and launches a first machine in it.
struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a whole market on this machine: exchange, a seller's connect with this host as its node, a buyer's manage.",
        discussion:
            "Run it again at any time: it starts what is not running and does what is not done. State lies under .bourse (or BOURSE_HOME).")

    @Option(help: "Folder of a built guest image.") var image: String?
    @Flag(help: "Do not launch a first machine.") var noMachine = false
    @Option(help: "Length of the spot delivery period in seconds, when the market is made.") var spotPeriod: Int64 = 3_600
    @Option(help: "Memory the seller promises, in thousandths of what this machine has; more than 1000 is for trying things out.")
    var memoryOversubscription: Int64 = 1_000
    @Option(help: "Disk the seller promises, in thousandths of what this machine has.") var diskOversubscription: Int64 = 2_000

    func run() async throws {
        let home = LocalHome()
        var builder = CloudBuilder(home: home, state: try home.load() ?? .fresh())
        builder.oversubscription = (memoryOversubscription, diskOversubscription)
        try home.save(builder.state)
        let start = ContinuousClock.now
        try await explained {
            try await builder.exchange()
            try await builder.market(spotPeriod: spotPeriod)
            try await builder.datacenter(imageFolder: image ?? home.folder("images/bourse-guest"))
            try await builder.buyer()
            if !noMachine { try await builder.machine() }
        }
        try await Story(home: home, state: builder.state, took: .now - start).tell()
    }
}

extension CloudState {
    static func fresh() -> CloudState {
        CloudState(exchangeToken: secret(), manageToken: secret(), connectToken: secret())
    }

    static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        return "bt_" + (0..<3).map { _ in String(generator.next(), radix: 16) }.joined()
    }
}

/// The steps of `bourse up`. Each does nothing when it is done already, and is saved as soon as it is.
struct CloudBuilder {
    let home: LocalHome
    var state: CloudState
    /// What the seller promises of this machine's memory and disk, in thousandths.
    var oversubscription: (memory: Int64, disk: Int64) = (1_000, 2_000)

    func step(_ text: String) {
        print("· \(text)")
        fflush(nil)
    }

    func save() throws { try home.save(state) }

    func program(_ name: String) throws -> LocalProgram {
        guard let program = LocalProgram.all(state, home).first(where: { $0.name == name }) else {
            preconditionFailure("no program \(name)")
        }
        return program
    }

    func client(_ target: Target, token: String? = nil) throws -> CloudClient {
        let (url, usual) = state.address(of: target)
        return try CloudClient(base: url, authentication: (token ?? usual).map { .bearer($0) } ?? .none)
    }

    func using<T>(_ target: Target, token: String? = nil, _ body: (CloudClient) async throws -> T) async throws -> T {
        try await client(target, token: token).closing(body)
    }

    // MARK: Exchange

    mutating func exchange() async throws {
        let exchange = try program("exchange")
        if exchange.pid == nil { step("starting the exchange") }
        try exchange.start(
            ["--name", "demo", "--port", "\(state.ports.exchange)", "--peer-port", "\(state.ports.exchangePeer)"],
            secrets: ["BOURSE_OPERATOR_TOKEN": state.exchangeToken])
        try await exchange.waitUntilReady()
        let authority = try await using(.exchange) { try await $0.call(ExchangeAPI.authority) }
        try Data(authority.root.utf8).write(to: URL(fileURLWithPath: home.rootCertificate), options: .atomic)
    }

    mutating func market(spotPeriod: Int64) async throws {
        if state.seller == nil {
            step("admitting a seller, Nordlicht Rechenzentrum, and a buyer, Acme")
            state.seller = try await participant("Nordlicht Rechenzentrum", .seller)
            try save()
        }
        if state.buyer == nil {
            state.buyer = try await participant("Acme", .buyer)
            try save()
        }
        guard let buyer = state.buyer else { return }
        if !state.deposited {
            step("booking Acme's deposit of 100.00 EUR")
            let transfer = Transfer(amount: Money(microUnits: 100_000_000, .eur), reference: "opening deposit")
            _ = try await using(.exchange) {
                try await $0.call(
                    ExchangeAPI.transfer, path: ["participant": buyer.description], body: transfer, idempotencyKey: "up-deposit")
            }
            state.deposited = true
            try save()
        }
        if state.product == nil {
            step("listing the product \(Self.product.name)")
            var product = Self.product
            product.spotPeriodSeconds = spotPeriod
            let definition = product
            state.product = try await using(.exchange) {
                try await $0.call(ExchangeAPI.createProduct, body: definition, idempotencyKey: "up-product")
            }.id
            try save()
        }
        if state.series == nil {
            let series = try await using(.exchange) { try await $0.items(of: ExchangeAPI.listSeries, query: ["kind": "spot"]) }
            state.series = series.first { $0.product == state.product }?.id
            try save()
        }
    }

    private func participant(_ name: String, _ role: ParticipantRole) async throws -> ParticipantID {
        try await using(.exchange) {
            try await $0.call(
                ExchangeAPI.createParticipant, body: CreateParticipant(name: name, roles: [role], currency: .eur),
                idempotencyKey: "up-participant-\(role.rawValue)")
        }.id
    }

    static let product = ProductDefinition(
        name: "general.demo-1a.das", unitClass: "general", lot: Resources(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480),
        region: CloudState.region, zone: CloudState.zone, jurisdiction: "DE", tenancy: .shared, storage: .das, firmness: .firm,
        slaProfile: "standard",
        largestOversubscription: 8_000, currency: .eur, spotPeriodSeconds: 3_600)

    func enrolment(_ participant: ParticipantID?, _ role: ProgramRole) async throws -> String {
        guard let participant else { preconditionFailure("participants come before programs") }
        return try await using(.exchange) {
            try await $0.call(ExchangeAPI.createEnrolment, body: CreateEnrolment(participant: participant, role: role))
        }.token
    }
}
