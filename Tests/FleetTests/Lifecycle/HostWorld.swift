import Fleet
import Primitives

/// A small datacenter in which everything that can go wrong between connect and its hosts does: hosts crash and come back, lose the network,
/// requests are lost, late and doubled, fencing fails or works without saying so. Disks are on shared storage: an instance that runs on two
/// hosts at once is destroyed, which `doubled` notes.
struct HostWorld {
    struct Intent {
        var generation: Int64
        var runs: Bool
    }
    struct Departure: Hashable {
        var instance: InstanceID
        var generation: Int64
    }
    /// A host as it really is.
    struct Machine {
        var isOn = true
        var isCutOff = false
        var boot = 0
        var epoch: Int64?
        var running: [InstanceID: Int64] = [:]
        var intents: [InstanceID: Intent] = [:]
        var drops: Set<Departure> = []
        /// The request it waits for an answer to.
        var request = 0
        var waitsUntil = 0
    }
    struct Observation {
        var instance: InstanceID
        var generation: Int64
        var seen: InstanceLifecycle.Seen
    }
    struct Message {
        var host: HostID
        var boot: Int
        var request: Int
        var epoch: Int64?
        var observations: [Observation]
        var dropped: Set<Departure>
        var due: Int
    }
    struct Instance {
        var life: InstanceLifecycle
        var host: HostID
    }

    static let policy = HostPolicy(
        suspectAfter: .seconds(20), failAfter: .seconds(40), fencingRetry: .seconds(10), flapWindow: .minutes(5), flapLimit: 4,
        calm: .minutes(2), mostSilentPerMille: 700)
    static let tick = Span.seconds(5)

    var generator: SeededGenerator
    var step = 0
    var machines: [HostID: Machine] = [:]
    var hosts: [HostID: HostLifecycle] = [:]
    var instances: [InstanceID: Instance] = [:]
    var departures: [HostID: Set<Departure>] = [:]
    var wire: [Message] = []
    var isCalm = false
    /// A connect that takes silence for death.
    var trustsSilence = false
    /// How often each of these happened.
    var counts: [String: Int] = [:]
    /// What went wrong.
    var doubled: [String] = []

    var now: Instant { Instant(seconds: 1_000) + Self.tick * Int64(step) }
    var hostIDs: [HostID] { hosts.keys.sorted() }
    var instanceIDs: [InstanceID] { instances.keys.sorted() }

    init(seed: UInt64, hosts count: UInt64, instances guests: UInt64) {
        generator = SeededGenerator(seed: seed)
        for number in 1...count {
            machines[HostID(bits: number)] = Machine()
            hosts[HostID(bits: number)] = HostLifecycle(enrolledAt: now)
        }
        for number in 1...guests {
            instances[InstanceID(bits: number)] = Instance(
                life: InstanceLifecycle(launchedAt: now), host: HostID(bits: UInt64.random(in: 1...count, using: &generator)))
        }
    }

    mutating func chance(_ percent: Int) -> Bool { !isCalm && Int.random(in: 0..<100, using: &generator) < percent }
    mutating func pick<T>(_ items: [T]) -> T? { items.randomElement(using: &generator) }

    mutating func run(_ steps: Int) {
        for _ in 0..<steps {
            step += 1
            fate()
            users()
            for host in hostIDs { act(host) }
            deliver()
            reconcile()
            audit()
        }
    }

    /// Nothing goes wrong from here on.
    mutating func calmDown() {
        isCalm = true
        for host in hostIDs {
            machines[host]?.isCutOff = false
            if machines[host]?.isOn == false { boot(host) }
        }
    }

    // MARK: - Fate and people

    private mutating func fate() {
        for host in hostIDs {
            guard let machine = machines[host] else { continue }
            if machine.isOn, chance(1) { crash(host) } else if !machine.isOn, isCalm || chance(8) { boot(host) }
            if chance(machine.isCutOff ? 10 : 1) { machines[host]?.isCutOff.toggle() }
        }
    }

    mutating func crash(_ host: HostID) {
        machines[host]?.isOn = false
        machines[host]?.running = [:]
    }

    /// Its tables outlive the crash; nothing runs before connect has answered.
    private mutating func boot(_ host: HostID) {
        machines[host]?.isOn = true
        machines[host]?.boot += 1
        machines[host]?.epoch = nil
        machines[host]?.request += 1
        machines[host]?.waitsUntil = 0
    }

    private mutating func users() {
        guard !isCalm, let id = pick(instanceIDs), var instance = instances[id] else { return }
        let user = InstanceLifecycle.Reason("Client.UserInitiatedShutdown", "user")
        switch Int.random(in: 0..<40, using: &generator) {
        case 0...1: _ = try? instance.life.stop(grace: 5, reason: user, at: now)
        case 2...5: _ = try? instance.life.start(at: now)
        case 6: _ = instance.life.terminate(reason: user, at: now)
        case 7...9: drain(id, &instance)
        case 10: try? instance.life.retry(at: now)
        default: break
        }
        instances[id] = instance
    }

    private mutating func drain(_ id: InstanceID, _ instance: inout Instance) {
        guard let target = pick(hostIDs.filter { hosts[$0]?.takesNew == true && $0 != instance.host }) else { return }
        let source = instance.host
        guard let isThere = try? instance.life.beginMove(.cold, .drain, from: source, to: target, grace: 5, at: now), isThere else {
            return
        }
        arrive(id, &instance, at: target)
    }

    // MARK: - Hosts

    private mutating func act(_ host: HostID) {
        guard var machine = machines[host], machine.isOn else { return }
        if machine.epoch != nil {
            for (id, intent) in machine.intents {
                if intent.runs { machine.running[id] = intent.generation } else { machine.running[id] = nil }
            }
        }
        if step >= machine.waitsUntil {
            machine.request += 1
            machine.waitsUntil = step + 3
            let observations = machine.intents.sorted { $0.key < $1.key }.map { id, intent in
                Observation(instance: id, generation: intent.generation, seen: machine.running[id] != nil ? .running : .stopped)
            }
            let message = Message(
                host: host, boot: machine.boot, request: machine.request, epoch: machine.epoch, observations: observations,
                dropped: machine.drops, due: 0)
            if !machine.isCutOff { send(message) }
        }
        machines[host] = machine
    }

    private mutating func send(_ message: Message) {
        var message = message
        for _ in 0..<(chance(20) ? 2 : 1) where !chance(10) {
            message.due = step + (isCalm ? 0 : Int.random(in: 0..<5, using: &generator))
            wire.append(message)
        }
    }

    /// What is due, in any order.
    private mutating func deliver() {
        let due = wire.filter { $0.due <= step }.shuffled(using: &generator)
        wire.removeAll { $0.due <= step }
        for message in due { take(message) }
    }

    /// The answer reaches a host only while it waits for it.
    mutating func answer(_ message: Message, _ body: (inout Machine) -> Void) {
        guard var machine = machines[message.host], machine.isOn, !machine.isCutOff, machine.boot == message.boot,
            machine.request == message.request
        else { return }
        machine.waitsUntil = 0
        body(&machine)
        machines[message.host] = machine
    }

    // MARK: - What must hold at every moment

    private mutating func audit() {
        var places: [InstanceID: Int] = [:]
        for machine in machines.values where machine.isOn { for id in machine.running.keys { places[id, default: 0] += 1 } }
        for (id, count) in places where count > 1 { doubled.append("\(id) runs on \(count) hosts at step \(step)") }
    }
}
