public import Hummingbird
import NIOCore
public import PKI
import Synchronization

/// What a request carries through the middleware: who calls, and a number that names it in the log.
public struct ServiceContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// The verified certificate of the peer, on peer listeners.
    public let peer: VerifiedPeer?
    public var principal: Principal
    public let requestID: String
    /// The address the request came from.
    public let remoteAddress: String

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = ConnectionPeer.current?.verified
        principal = peer.map(Principal.init) ?? .anonymous
        remoteAddress = source.channel.remoteAddress?.ipAddress ?? "an unknown address"
        requestID = String(SystemRandomNumberGenerator.bits(), radix: 36)
    }
}

extension SystemRandomNumberGenerator {
    static func bits() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}

/// The peer of one connection: set when its handshake is done, read by each of its requests.
final class ConnectionPeer: Sendable {
    @TaskLocal static var current: ConnectionPeer?
    private let state = Mutex<VerifiedPeer?>(nil)
    var verified: VerifiedPeer? { state.withLock { $0 } }
    func set(_ peer: VerifiedPeer) { state.withLock { $0 = peer } }
}
