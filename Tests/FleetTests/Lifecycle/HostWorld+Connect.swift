import Fleet
import Primitives

/// Connect's side of the world: only what lifecycles say, and what messages bring.
extension HostWorld {
    mutating func take(_ message: Message) {
        guard var host = hosts[message.host] else { return }
        guard let epoch = message.epoch else {
            // A request of an earlier boot has nobody behind it any more; a connection would have ended with it.
            guard machines[message.host]?.boot == message.boot, let greeting = try? host.greet(at: now, Self.policy) else { return }
            hosts[message.host] = host
            return greet(message, greeting)
        }
        let believes: Bool
        do {
            believes = try host.hear(epoch: epoch, at: now, Self.policy)
        } catch {
            return answer(message) { $0.epoch = nil }
        }
        departures[message.host]?.subtract(message.dropped)
        if departures[message.host]?.isEmpty ?? true { host.dropped(epoch: epoch, at: now, Self.policy) }
        hosts[message.host] = host
        if believes { for seen in message.observations { observe(seen, from: message.host) } }
        reply(message)
    }

    private mutating func greet(_ message: Message, _ greeting: HostLifecycle.Greeting) {
        if case .dropFirst = greeting { counts["returned", default: 0] += 1 }
        switch greeting {
        case .welcome(let epoch): answer(message) { $0.epoch = epoch }
        case .dropFirst(let epoch):
            answer(message) { machine in
                machine.epoch = epoch
                machine.running = [:]
                machine.intents = [:]
            }
        }
        reply(message)
    }

    /// What the host is to run, and what it is to let go of. One that returns is told the latter only.
    private mutating func reply(_ message: Message) {
        let drops = departures[message.host] ?? []
        let isServing = hosts[message.host]?.health == .up
        let here = isServing ? instances.filter { $0.value.host == message.host && $0.value.life.state != .terminated } : [:]
        answer(message) { machine in
            for drop in drops where machine.intents[drop.instance]?.generation ?? 0 <= drop.generation {
                machine.intents[drop.instance] = nil
                machine.running[drop.instance] = nil
            }
            machine.drops = drops
            for (id, instance) in here where instance.life.generation >= machine.intents[id]?.generation ?? 0 {
                machine.intents[id] = Intent(generation: instance.life.generation, runs: instance.life.desired == .running)
            }
        }
    }

    private mutating func observe(_ seen: Observation, from host: HostID) {
        guard var instance = instances[seen.instance], instance.host == host else { return }
        // A host that was told to remove an instance and does not run it has removed it.
        let what: InstanceLifecycle.Seen = instance.life.desired == .absent && seen.seen == .stopped ? .absent : seen.seen
        _ = instance.life.observe(what, generation: seen.generation, reason: nil, executed: now, at: now)
        if let target = instance.life.handOver(at: now) {
            arrive(seen.instance, &instance, at: target)
            counts["handed over", default: 0] += 1
        }
        instances[seen.instance] = instance
    }

    /// It is the target's now; the source lets go of whatever it has of it, of this generation's past.
    mutating func arrive(_ id: InstanceID, _ instance: inout Instance, at target: HostID) {
        departures[instance.host, default: []].insert(Departure(instance: id, generation: instance.life.generation - 1))
        departures[target] = departures[target]?.filter { $0.instance != id }
        instance.host = target
    }

    // MARK: - Reconcilers

    mutating func reconcile() {
        for id in hostIDs {
            guard var host = hosts[id] else { continue }
            if host.pass(to: now, listeningSince: .zero, Self.policy) == .failed { failed(id, &host) }
            if let epoch = host.attemptFencing(at: now, Self.policy) { fence(id, &host, epoch) }
            if host.isFenced { evacuate(id, &host) }
            hosts[id] = host
        }
    }

    private mutating func failed(_ id: HostID, _ host: inout HostLifecycle) {
        let now = now
        for guest in instanceIDs where instances[guest]?.host == id { _ = instances[guest]?.life.hostFailed("silent", at: now) }
        if trustsSilence {
            _ = try? host.beginFencing(at: now)
            host.fenced(.power, epoch: host.epoch, at: now)
            return
        }
        let silent = hosts.values.count { $0.health != .up && $0.health != .enrolled }
        let pod = HostFailure.Pod(sharesStorage: true, hosts: Int64(hosts.count), silent: Int64(silent))
        switch HostFailure.next(pod, .power, Self.policy) {
        case .fence: _ = try? host.beginFencing(at: now)
        case .fenceByLease, .wait: break
        }
    }

    /// The driver may fail, and may fail although it has switched the host off.
    private mutating func fence(_ id: HostID, _ host: inout HostLifecycle, _ epoch: Int64) {
        let (works, says) = (!chance(20), !chance(20))
        if works { crash(id) }
        if works, says {
            counts["fenced", default: 0] += 1
            host.fenced(.power, epoch: epoch, at: now)
        } else {
            host.fencingFailed("no answer from the power driver", epoch: epoch, at: now, Self.policy)
        }
    }

    private mutating func evacuate(_ id: HostID, _ host: inout HostLifecycle) {
        guard host.health != .returning else { return }
        for guest in instanceIDs {
            guard var instance = instances[guest], instance.host == id else { continue }
            _ = instance.life.hostFenced(at: now)
            if let target = pick(hostIDs.filter { hosts[$0]?.takesNew == true && $0 != id }),
                instance.life.evacuate(from: id, to: target, at: now)
            {
                arrive(guest, &instance, at: target)
                counts["evacuated", default: 0] += 1
            }
            instances[guest] = instance
        }
        let left = instances.values.count { $0.host == id && $0.life.state != .terminated }
        host.settle(left: left, movable: left, at: now)
    }
}
