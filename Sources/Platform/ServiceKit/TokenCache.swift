import Primitives
import Store
import Synchronization

/// Who tokens belong to, remembered for a few seconds: a busy caller sends the same one with every request.
///
/// A token that is taken back, here or by another process, works on for at most that long. Unknown tokens are not remembered.
final class TokenCache: Sendable {
    private static let lifetime = Duration.seconds(5)
    private static let most = 10_000

    private struct Known {
        let principal: Principal
        let until: ContinuousClock.Instant
    }
    private let known = Mutex<[String: Known]>([:])
    private let database: any Database

    init(database: any Database) { self.database = database }

    func principal(of token: String) async throws -> Principal? {
        let now = ContinuousClock.now
        if let found = known.withLock({ $0[token] }), now < found.until { return found.principal }
        let found = try await database.read { try Tokens.principal(of: token, in: $0) }
        known.withLock { known in
            if known.count >= Self.most { known = [:] }
            known[token] = found.map { Known(principal: $0, until: now + Self.lifetime) }
        }
        return found
    }
}
