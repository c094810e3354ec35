import ArgumentParser
import CloudAPI
import Foundation
import Primitives

/// The folder that holds the cloud on this machine: `.bourse` where the command runs, or `BOURSE_HOME`.
struct LocalHome: Sendable {
    let path: String

    init() {
        let given = ProcessInfo.processInfo.environment["BOURSE_HOME"]
        path = URL(fileURLWithPath: given ?? ".bourse").standardizedFileURL.path
    }

    func folder(_ name: String) -> String { path + "/" + name }
    var stateFile: String { folder("cloud.json") }
    var demoKey: String { folder("demo-key") }
    var rootCertificate: String { folder("root.pem") }

    func load() throws -> CloudState? {
        guard let data = FileManager.default.contents(atPath: stateFile) else { return nil }
        do {
            return try WireJSON.decode(CloudState.self, from: data)
        } catch {
            throw Failure(text: "\(stateFile) cannot be read: \(WireJSON.explain(error)).")
        }
    }

    func save(_ state: CloudState) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let data = try WireJSON.encode(state)
        let partial = stateFile + ".partial"
        guard FileManager.default.createFile(atPath: partial, contents: data, attributes: [.posixPermissions: 0o600]) else {
            throw Failure(text: "\(partial) cannot be written; is the disk full?")
        }
        guard rename(partial, stateFile) == 0 else { throw Failure(text: "\(stateFile) cannot be replaced.") }
    }
}

/// What `bourse up` did so far: every step is recorded, so that the next `up` goes on where this one stopped.
struct CloudState: Codable, Sendable {
    struct Ports: Codable, Sendable {
        var exchange = 7400
        var exchangePeer = 7401
        var manage = 7410
        var ec2 = 7411
        var connect = 7420
        var connectPeer = 7421
        var node = 7430
    }

    var ports = Ports()
    var exchangeToken: String
    var manageToken: String
    var connectToken: String
    var seller: ParticipantID?
    var buyer: ParticipantID?
    var buyerToken: String?
    var sellerToken: String?
    var product: ProductID?
    var series: SeriesID?
    var deposited = false
    var image: ImageID?
    var asked = false
    var account: AccountID?
    var user: UserID?
    var userToken: String?
    var accessKey: String?
    var secretKey: String?
    var keyImported = false
    var machine: InstanceID?

    static let region = "demo-1"
    static let zone = "demo-1a"

    func address(of target: Target) -> (url: String, token: String?) {
        switch target {
        case .exchange: ("http://127.0.0.1:\(ports.exchange)", exchangeToken)
        case .manage: ("http://127.0.0.1:\(ports.manage)", userToken ?? manageToken)
        case .connect: ("http://127.0.0.1:\(ports.connect)", connectToken)
        }
    }
    var ec2URL: String { "http://127.0.0.1:\(ports.ec2)" }
}

/// Prints shell assignments for clients: `eval "$(bourse env)"`.
struct PrintEnvironment: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "env", abstract: "Print shell assignments for clients of the cloud on this machine.",
        discussion: "Use it as: eval \"$(bourse env)\"")

    func run() throws {
        let home = LocalHome()
        guard let state = try home.load() else { throw Failure(text: "There is no cloud under \(home.path) yet: run `bourse up`.") }
        let values: [(String, String?)] = [
            ("BOURSE_EC2_URL", state.ec2URL), ("AWS_ACCESS_KEY_ID", state.accessKey), ("AWS_SECRET_ACCESS_KEY", state.secretKey),
            ("AWS_DEFAULT_REGION", CloudState.region), ("BOURSE_EXCHANGE_URL", state.address(of: .exchange).url),
            ("BOURSE_MANAGE_URL", state.address(of: .manage).url), ("BOURSE_CONNECT_URL", state.address(of: .connect).url),
            ("BOURSE_EXCHANGE_TOKEN", state.exchangeToken), ("BOURSE_MANAGE_TOKEN", state.userToken ?? state.manageToken),
            ("BOURSE_MANAGE_OPERATOR_TOKEN", state.manageToken),
            ("BOURSE_CONNECT_TOKEN", state.connectToken), ("BOURSE_SSH_KEY", home.demoKey), ("BOURSE_CA", home.rootCertificate),
        ]
        for (name, value) in values {
            if let value { print("export \(name)='\(value.replacingOccurrences(of: "'", with: "'\\''"))'") }
        }
    }
}
