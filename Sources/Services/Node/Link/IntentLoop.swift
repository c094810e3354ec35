import CloudAPI
import CloudClient
import Drivers
import Foundation
import Logging
import Primitives
import ServiceKit
import ServiceLifecycle

/// Says hello, then follows what connect wants of this host: everything at first, then every change as it is made.
struct IntentLoop: Service {
    let core: NodeCore
    private static let longestWait = 30

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var backoff = Duration.milliseconds(250)
            while !Task.isCancelled {
                do {
                    try await core.hello()
                    backoff = .milliseconds(250)
                    try await follow()
                } catch is CancellationError {
                    return
                } catch {
                    // Guests and meters do not need connect.
                    core.logger.warning(
                        "connect is not with us", metadata: ["error": "\(Fault(error).refusal.message)", "again in": "\(backoff)"])
                    try? await Task.sleep(for: backoff)
                    backoff = min(.seconds(5), backoff * 2)
                }
            }
        }
    }

    private func follow() async throws {
        var revision: Int64 = 0
        while !Task.isCancelled {
            let briefing = core.facts.briefing
            let page = try await core.identity.exchange.call(
                ConnectAPI.intents, query: ["after": "\(revision)", "wait": "\(revision == 0 ? 0 : Self.longestWait)"],
                deadline: .seconds(Self.longestWait + 15))
            // A feed that goes backwards is another feed: begin again.
            guard page.revision >= revision || page.full else { return }
            // Networks and volumes first, so that a machine that is to start finds those it is to have.
            try await core.take(page.networks ?? [])
            try await core.take(page.volumes ?? [])
            try await core.take(page.intents)
            if page.full {
                await core.compare(core.board, with: page.intents)
                await core.compare(core.volumes, with: page.volumes ?? [])
                await core.compare(core.networks, with: page.networks ?? [])
            }
            core.facts.setBriefed(briefing)
            revision = page.revision
        }
    }
}

extension NodeCore {
    func hello() async throws {
        let offer = await moveOffer()
        let hello = NodeHello(
            hostName: configuration.hostName ?? Hardware.hostName, capacity: await capacity(),
            hypervisor: await drivers.compute.description,
            agentVersion: "1", guestNetwork: configuration.guestNetwork, rack: configuration.rack,
            domains: configuration.domains.isEmpty ? nil : configuration.domains,
            inventory: await HardwareInventory(root: configuration.hardwareRoot).readAside(), holdsLease: lease == nil ? nil : true,
            tunnelAddress: configuration.tunnelAddress, tunnelMTU: configuration.tunnelAddress == nil ? nil : configuration.tunnelMTU,
            moves: offer)
        let mark = meters.mark
        let welcome = try await identity.exchange.call(ConnectAPI.hello, body: hello)
        facts.setOffered(offer != nil)
        try await meters.align(host: welcome.host, stored: welcome.meterSequence, asOf: mark)
        meters.setInterval(.seconds(configuration.meterSeconds ?? max(1, welcome.meterSeconds)))
        try await facts.keep(
            .init(
                host: welcome.host, region: welcome.region, zone: welcome.zone, heartbeatSeconds: max(1, welcome.heartbeatSeconds),
                meterSeconds: welcome.meterSeconds, epoch: welcome.epoch, sharesStorage: welcome.sharesStorage), in: database)
        board.news.set()
    }

    private func capacity() async -> Resources {
        if let given = configuration.capacity { return given }
        let disks = (try? await drivers.storage.disks()) ?? []
        let own = configuration.volumeDirectory == nil ? (try? await drivers.storage.volumes()) ?? [] : []
        let disk = await drivers.storage.freeBytes() + disks.reduce(0) { $0 + $1.usedBytes } + own.reduce(0) { $0 + $1.usedBytes }
        return Hardware.capacity(diskMiB: disk >> 20, reservedMemoryMiB: configuration.reservedMemoryMiB)
    }
}
