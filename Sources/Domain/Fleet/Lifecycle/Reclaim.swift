public import Primitives

/// Which interruptible instances make room for a firm one.
public enum Reclaim {
    public struct Guest: Hashable, Sendable {
        public var id: InstanceID
        public var resources: Resources
        public var accepted: Instant
        /// Announced already: its room is on its way.
        public var isAnnounced: Bool

        public init(id: InstanceID, resources: Resources, accepted: Instant, isAnnounced: Bool) {
            self.id = id
            self.resources = resources
            self.accepted = accepted
            self.isAnnounced = isAnnounced
        }
    }

    /// A host that is up, with its interruptible guests.
    public struct Candidate: Hashable, Sendable {
        public var host: HostID
        public var free: Resources
        public var guests: [Guest]

        public init(host: HostID, free: Resources, guests: [Guest]) {
            self.host = host
            self.free = free
            self.guests = guests
        }
    }

    public struct Choice: Hashable, Sendable {
        public var host: HostID
        /// To be announced now, in addition to those that are. None: what is announced is enough.
        public var victims: [InstanceID]
    }

    /// The host on which the fewest more have to go, then the least memory; ties go to the lower identifier. On a host the youngest go first,
    /// and none that the others have made needless. Nil: nothing that may be taken away would make room.
    public static func choose(for wanted: Resources, among candidates: [Candidate]) -> Choice? {
        var best: (choice: Choice, memory: Int64)?
        for candidate in candidates.sorted(by: { $0.host < $1.host }) {
            guard let victims = victims(for: wanted, on: candidate) else { continue }
            let memory = victims.map(\.resources.memoryMiB).reduce(0, +)
            if let best, (best.choice.victims.count, best.memory) <= (victims.count, memory) { continue }
            best = (Choice(host: candidate.host, victims: victims.map(\.id).sorted()), memory)
        }
        return best?.choice
    }

    private static func victims(for wanted: Resources, on candidate: Candidate) -> [Guest]? {
        var free = candidate.guests.filter(\.isAnnounced).map(\.resources).reduce(candidate.free, +)
        var taken: [Guest] = []
        for guest in candidate.guests.filter({ !$0.isAnnounced }).sorted(by: isYounger) where !wanted.fits(in: free) {
            taken.append(guest)
            free += guest.resources
        }
        guard wanted.fits(in: free) else { return nil }
        // The oldest first: the last taken was needed, one before it may not be any more.
        for guest in taken.reversed() where wanted.fits(in: free - guest.resources) {
            free -= guest.resources
            taken.removeAll { $0.id == guest.id }
        }
        return taken
    }

    private static func isYounger(_ a: Guest, _ b: Guest) -> Bool { (b.accepted, b.id) < (a.accepted, a.id) }
}
