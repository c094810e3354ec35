import CloudAPI
import CloudClient
import EC2
import Foundation
import Logging
import Manage
import PKI
import Primitives
import ServiceKit
import ServiceLifecycle
import Store
import Synchronization
import TestSupport
import Testing

/// A manage between a fake exchange and a fake connect, all speaking mutual TLS.
final class ManageFixture: Sendable {
    let town: Town
    let interruptions = Interruptions()
    let connect: FakeConnect
    let exchange: FakeExchange
    let url: String
    private let running = Mutex<Running?>(nil)
    private let access = Mutex<AccessCredential?>(nil)
    private let userToken = Mutex<String>("")

    struct Running {
        var task: Task<Void, any Error>
        var database: any Database
        var base: String
        var ec2: String
    }

    static let operatorToken = "bt_operator"

    init(url: String) throws {
        self.url = url
        town = try Town()
        connect = try FakeConnect(town, interruptions: interruptions)
        exchange = FakeExchange(town, connect: connect, interruptions: interruptions)
    }

    var folder: String { town.directory.file("manage") }

    func start(_ adjust: (inout ManageConfiguration) -> Void = { _ in }) async throws {
        if !FileManager.default.fileExists(atPath: folder) {
            try town.enrol(
                .program(exchange: Town.exchange, participant: town.buyer, role: .manage, id: "mng-1"), in: folder + "/identity",
                peerAddress: "127.0.0.1:\(await exchange.port.value())")
        }
        var configuration = ManageConfiguration(
            dataDirectory: folder, databaseURL: url, exchangeURL: "http://127.0.0.1:1", region: Town.region)
        configuration.operatorToken = Self.operatorToken
        configuration.publicPort = 0
        configuration.ec2Port = 0
        adjust(&configuration)
        let database = try openDatabase(url, options: .quiet)
        let service = try await ManageService(configuration, database: database, logger: town.logger)
        let group = ServiceGroup(services: service.services, logger: town.logger)
        let task = Task { try await group.run() }
        let base = "http://127.0.0.1:\(await service.publicPort.value())"
        let ec2 = "http://127.0.0.1:\(await service.ec2Port.value())"
        running.withLock { $0 = Running(task: task, database: database, base: base, ec2: ec2) }
    }

    /// Stops it in the middle of whatever it does. What was not committed is gone.
    func kill() async {
        guard
            let now = running.withLock({ running in
                defer { running = nil }
                return running
            })
        else { return }
        now.task.cancel()
        _ = await now.task.result
        await now.database.close()
    }

    // MARK: Clients

    func call<Request, Response>(
        _ endpoint: Endpoint<Request, Response>, path: [String: String] = [:], query: [String: String] = [:], body: Request,
        token: String? = nil,
        key: String? = nil
    ) async throws -> Response {
        let client = try CloudClient(base: running.withLock { $0?.base } ?? "", authentication: .bearer(token ?? Self.operatorToken))
        return try await client.closing { try await $0.call(endpoint, path: path, query: query, body: body, idempotencyKey: key) }
    }

    var user: String { userToken.withLock { $0 } }
    var credential: AccessCredential { access.withLock { $0 } ?? AccessCredential(accessKey: "none", secretKey: "none") }
    var ec2Base: String { running.withLock { $0?.ec2 } ?? "" }

    /// An account with a price cap of 0.05 per lot-hour, a user, an access key and a token.
    func settle(priceCap: Int64 = 50_000, quotaMilliCPU: Int64? = nil, rights: [UserRight] = [.technical, .commercial]) async throws {
        let account = try await call(
            ManageAPI.createAccount, body: CreateAccount(name: "Acme", currency: .eur, priceCap: priceCap, quotaMilliCPU: quotaMilliCPU))
        let user = try await call(
            ManageAPI.createUser, path: ["account": account.id.description], body: CreateUser(name: "ada", rights: rights))
        let key = try await call(ManageAPI.createAccessKey, path: ["user": user.id.description], body: Empty())
        access.withLock { $0 = AccessCredential(accessKey: key.accessKey, secretKey: key.secretKey) }
        let token = try await call(ManageAPI.createUserToken, path: ["user": user.id.description], body: CreateToken(description: "test"))
            .token
        userToken.withLock { $0 = token }
        try await eventually("the image is known") {
            try await !self.call(ManageAPI.listImages, body: Empty()).items.isEmpty
        }
    }

    func ec2(
        _ action: String, _ parameters: (String, String)..., credential: AccessCredential? = nil, at now: Instant? = nil
    ) async throws -> (status: Int, document: XMLElement) {
        try await ec2(action, parameters, credential: credential, at: now)
    }

    func ec2(
        _ action: String, _ parameters: [(String, String)], credential: AccessCredential? = nil, at now: Instant? = nil
    ) async throws -> (status: Int, document: XMLElement) {
        let host = ec2Base.replacingOccurrences(of: "http://", with: "")
        let signed = RequestSigner(credential ?? self.credential, region: Town.region)
            .call(action, parameters, host: host, at: now ?? SystemTime().now())
        return try await send(signed)
    }

    func send(_ request: SignableRequest) async throws -> (status: Int, document: XMLElement) {
        let target = request.query.isEmpty ? request.path : "\(request.path)?\(request.query)"
        let answer = try await CloudClient(base: ec2Base).closing {
            try await $0.exchange(
                HTTPMethod(rawValue: request.method) ?? .post, path: target, headers: request.headers, body: Data(request.body))
        }
        let document = try #require(XMLElement(document: answer.body), "\(String(decoding: answer.body, as: UTF8.self))")
        return (answer.status, document)
    }

    /// Launches through the EC2 API. Returns the identifiers of the instances.
    @discardableResult
    func run(_ more: (String, String)...) async throws -> [InstanceID] {
        let (status, document) = try await ec2("RunInstances", launchParameters + more)
        #expect(status == 200, "\(document)")
        return (document["instancesSet"]?.items ?? []).compactMap { $0["instanceId"].flatMap { InstanceID($0.text) } }
    }

    var launchParameters: [(String, String)] {
        [("ImageId", town.image.description), ("InstanceType", "t2.nano"), ("MinCount", "1"), ("MaxCount", "1")]
    }

    func instance(_ id: InstanceID) async throws -> ManagedInstanceView {
        try await call(ManageAPI.showInstance, path: ["instance": id.description], body: Empty())
    }

    func state(_ id: InstanceID) async throws -> InstanceState { try await instance(id).state }
}

/// The code of an EC2 error; nil for an answer.
func errorCode(_ answer: (status: Int, document: XMLElement)) -> String? { answer.document["Errors"]?["Error"]?["Code"]?.text }
func errorMessage(_ answer: (status: Int, document: XMLElement)) -> String { answer.document["Errors"]?["Error"]?["Message"]?.text ?? "" }

/// Runs the fakes and a manage while the body runs.
func withManage(
    _ kind: DatabaseKind = .sqlite, settle: Bool = true, adjust: (inout ManageConfiguration) -> Void = { _ in },
    _ body: (ManageFixture) async throws -> Void
) async throws {
    try await withTestDatabase(kind) { test in
        let fixture = try ManageFixture(url: test.url)
        let platform = try openDatabase("sqlite:" + fixture.town.directory.file("fakes.db"), options: .quiet)
        try await platform.migrate([Tokens.migration])
        let group = ServiceGroup(
            services: [try fixture.exchange.service(database: platform), try fixture.connect.service(database: platform)],
            logger: fixture.town.logger)
        let fakes = Task { try await group.run() }
        let result: Swift.Result<Void, any Error>
        do {
            let address = "127.0.0.1:\(await fixture.connect.port.value())"
            fixture.exchange.state.withLock { $0.peerAddress = address }
            try await fixture.start(adjust)
            if settle { try await fixture.settle() }
            try await body(fixture)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await fixture.kill()
        fakes.cancel()
        _ = await fakes.result
        await platform.close()
        try result.get()
    }
}
