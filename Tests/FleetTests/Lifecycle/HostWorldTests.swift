import Fleet
import Primitives
import Testing

@Suite struct HostWorldTests {
    /// Hosts, networks and fencing fail at random; then all is calm, and everything is where it is wanted, once.
    @Test func whateverGoesWrongEverythingComesToRest() {
        var counts: [String: Int] = [:]
        for seed in 1...400 as ClosedRange<UInt64> {
            var world = HostWorld(seed: seed, hosts: 5, instances: 12)
            world.run(300)
            world.calmDown()
            world.run(120)
            #expect(world.doubled.isEmpty, "seed \(seed): \(world.doubled.first ?? "")")
            #expect(world.unsettled.isEmpty, "seed \(seed): \(world.unsettled.joined(separator: "; "))")
            if !world.doubled.isEmpty || !world.unsettled.isEmpty { return }
            counts.merge(world.counts, uniquingKeysWith: +)
        }
        for event in ["fenced", "evacuated", "returned", "handed over"] {
            #expect(counts[event] ?? 0 > 400, "\(event) \(counts[event] ?? 0) times: the runs try nothing")
        }
    }

    /// Without proof that a host is off, what ran there ends up running twice: the runs above would notice.
    @Test func silenceIsNoProof() {
        let doubled = (1...40 as ClosedRange<UInt64>).contains { seed in
            var world = HostWorld(seed: seed, hosts: 5, instances: 12)
            world.trustsSilence = true
            world.run(300)
            return !world.doubled.isEmpty
        }
        #expect(doubled)
    }

    /// The auditor sees what it is there for: a host that runs on although it was taken for dead.
    @Test func theAuditorCanFail() {
        var world = HostWorld(seed: 1, hosts: 3, instances: 4)
        world.run(20)
        world.isCalm = true
        guard let id = world.instanceIDs.first(where: { world.instances[$0]?.life.state == .running }),
            let here = world.instances[id]?.host, let other = world.hostIDs.first(where: { $0 != here })
        else {
            Issue.record("nothing runs after twenty steps")
            return
        }
        world.machines[other]?.running[id] = 1
        world.run(1)
        #expect(!world.doubled.isEmpty)
    }
}

extension HostWorld {
    /// What is not as it is wanted.
    var unsettled: [String] {
        var wrong: [String] = []
        for (id, host) in hosts where host.health != .up { wrong.append("\(id) is \(host.state)") }
        for (id, left) in departures where !left.isEmpty { wrong.append("\(id) has \(left.count) to let go of") }
        for id in instanceIDs {
            guard let instance = instances[id] else { continue }
            let places = machines.filter { $0.value.running[id] != nil }.map(\.key)
            let wanted = instance.life.desired == .running ? [instance.host] : []
            let state: InstanceLifecycle.State =
                switch instance.life.desired {
                case .running: .running
                case .stopped: .stopped
                case .absent: .terminated
                }
            if places != wanted { wrong.append("\(id) runs on \(places), wanted on \(wanted)") }
            if instance.life.state != state { wrong.append("\(id) is \(instance.life.state), wanted \(state)") }
            if instance.life.move != nil { wrong.append("\(id) still moves") }
        }
        return wrong
    }
}
