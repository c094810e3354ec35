import Drivers
import Foundation
import Primitives
import Synchronization

/// The metadata listeners of tenants' networks, one in each router's namespace.
final class NetworkListeners: Sendable {
    private struct Open {
        var listener: MetadataListener
        var place: MetadataPlace
        /// The namespace's inode: one that was taken away and made again has the same name only.
        var space: UInt64?
    }

    private let open = Mutex<[NetworkID: Open]>([:])

    /// Listens there, unless it does. One network's calls come one after the other.
    func ensure(_ network: NetworkID, at place: MetadataPlace, _ core: NodeCore) async throws {
        let space = Self.number(of: place)
        let known = open.withLock { open in open[network].map { ($0.listener, $0.place == place && $0.space == space) } }
        if let (listener, isSame) = known {
            if isSame { return }
            open.withLock { _ = $0.removeValue(forKey: network) }
            await listener.close()
        }
        let listener = try await MetadataListener.open(core, at: place, for: network)
        open.withLock { $0[network] = Open(listener: listener, place: place, space: space) }
    }

    private static func number(of place: MetadataPlace) -> UInt64? {
        guard let name = place.namespace else { return nil }
        let attributes = try? FileManager.default.attributesOfItem(atPath: "/run/netns/\(name)")
        return (attributes?[.systemFileNumber] as? NSNumber)?.uint64Value
    }

    func port(of network: NetworkID) -> Int? { open.withLock { $0[network]?.listener.port } }

    func close(_ network: NetworkID) async {
        let listener = open.withLock { $0.removeValue(forKey: network)?.listener }
        await listener?.close()
    }

    func closeAll() async {
        let all = open.withLock { open in
            defer { open = [:] }
            return open.values.map(\.listener)
        }
        for listener in all { await listener.close() }
    }
}
