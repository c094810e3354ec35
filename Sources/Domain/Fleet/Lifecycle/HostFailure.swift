public import Primitives

/// What to do about a host that has failed: fence it if that helps anybody and can be done, then start what ran there elsewhere, or wait.
public enum HostFailure {
    /// What this datacenter has to make sure that a host runs nothing.
    public enum Means: Hashable, Sendable {
        case power
        /// The host may not write to the pod's storage after this moment unless it renews its lease there.
        case storageLease(expires: Instant)
        case none
    }

    /// The pod a host is in, as far as it matters here.
    public struct Pod: Hashable, Sendable {
        /// Another host reaches the disks (NAS, SAN).
        public var sharesStorage: Bool
        public var hosts: Int64
        /// Hosts that are silent or fenced now, this one among them.
        public var silent: Int64

        public init(sharesStorage: Bool, hosts: Int64, silent: Int64) {
            self.sharesStorage = sharesStorage
            self.hosts = hosts
            self.silent = silent
        }
    }

    public enum Decision: Hashable, Sendable {
        case fence
        /// Fenced by itself once that moment is over.
        case fenceByLease(at: Instant)
        /// Nothing is fenced; the sentence says why.
        case wait(String)
    }

    /// A host has been silent for too long. Fencing stops whatever may still live there, so it is done only where it lets instances run
    /// elsewhere, and only while so few hosts are silent that it is likely the hosts' own fault.
    public static func next(_ pod: Pod, _ means: Means, _ policy: HostPolicy) -> Decision {
        guard pod.sharesStorage else {
            return .wait("Its instances' disks are in the host itself (DAS); they wait for it.")
        }
        // One silent host is never too many.
        guard pod.silent <= 1 || pod.silent * 1_000 <= pod.hosts * policy.mostSilentPerMille else {
            let most = "more than \(policy.mostSilentPerMille) of a thousand are not fenced without an operator"
            return .wait("\(pod.silent) of \(pod.hosts) hosts of its pod are silent; \(most).")
        }
        switch means {
        case .power: return .fence
        case .storageLease(let expires): return .fenceByLease(at: expires)
        case .none: return .wait("There is nothing to fence it with; an operator can vouch that it is off.")
        }
    }

    // MARK: Evacuation

    /// An instance of a fenced host that is to run, or to be kept, elsewhere.
    public struct Guest: Hashable, Sendable {
        public var id: InstanceID
        public var resources: Resources
        /// Higher ones start first.
        public var restartPriority: Int64
        public var resumes: Bool
        /// Its disk can be had from another host, or there is none to be kept.
        public var canMove: Bool

        public init(id: InstanceID, resources: Resources, restartPriority: Int64, resumes: Bool, canMove: Bool) {
            self.id = id
            self.resources = resources
            self.restartPriority = restartPriority
            self.resumes = resumes
            self.canMove = canMove
        }
    }

    public struct Arrival: Hashable, Sendable {
        public var guest: Guest
        public var target: HostID
    }

    public struct Stay: Hashable, Sendable {
        public var guest: Guest
        public var why: Refusal
    }

    public struct Evacuation: Hashable, Sendable {
        /// In the order they start.
        public var moves: [Arrival] = []
        /// What stays for now.
        public var waiting: [Stay] = []
    }

    /// Plans at most `limit` moves: what is to run before what is stopped, then by priority, large before small (it has the fewest places),
    /// then by identifier. `place` finds a host and takes the room there, or says why there is none.
    public static func evacuation(
        of guests: [Guest], limit: Int, place: (Guest) throws(Refusal) -> HostID
    ) -> Evacuation {
        var plan = Evacuation()
        for guest in guests.sorted(by: isFirst) {
            guard guest.canMove else {
                plan.waiting.append(Stay(guest: guest, why: diskIsThere(guest)))
                continue
            }
            guard plan.moves.count < limit else { break }
            do throws(Refusal) {
                plan.moves.append(Arrival(guest: guest, target: try place(guest)))
            } catch {
                plan.waiting.append(Stay(guest: guest, why: error))
            }
        }
        return plan
    }

    private static func isFirst(_ a: Guest, _ b: Guest) -> Bool {
        if a.resumes != b.resumes { return a.resumes }
        if a.restartPriority != b.restartPriority { return a.restartPriority > b.restartPriority }
        if a.resources.memoryMiB != b.resources.memoryMiB { return a.resources.memoryMiB > b.resources.memoryMiB }
        return a.id < b.id
    }

    private static func diskIsThere(_ guest: Guest) -> Refusal {
        Refusal(
            "move.storage", .conflict, "The disk of \(guest.id) is in its host (DAS) and cannot be reached from another.",
            facts: ["instance": .text(guest.id.description)], nearest: "wait for the host, or terminate the instance")
    }
}
