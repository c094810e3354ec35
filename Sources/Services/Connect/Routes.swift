import CloudAPI
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import PKI
import Primitives
import ServiceKit
import Store

extension ConnectCore {
    // MARK: Public listener: the operator, and nodes that enrol

    func addPublicRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.authority) { _ in
            AuthorityView(
                exchange: identity.record.exchange, root: identity.record.root, intermediate: identity.tls.trust.intermediatesPEM,
                peerAddress: peerAddress)
        }
        router.on(ConnectAPI.enrolNode) { call in try await enrolNode(call.body) }
        router.on(ConnectAPI.createNodeEnrolment) { call in try await createNodeEnrolment(call) }
        router.on(ConnectAPI.importImage) { call in try await importImage(call) }
        router.on(ConnectAPI.simulatePlacement) { call in try await simulate(call.body) }
        router.on(ConnectAPI.createAsk) { call in try await createAsk(call) }
        router.on(ConnectAPI.listReservations) { call in try await reservations(call) }
        router.on(ConnectAPI.listPodCapacity) { _ in CloudAPI.Page(try await podCapacity()) }
        router.on(ConnectAPI.listProductCapacity) { _ in CloudAPI.Page(try await productCapacity()) }
        router.on(ConnectAPI.certify) { call in try await certify(call) }
        router.on(ConnectAPI.listSellerContracts) { _ in CloudAPI.Page(sellerContracts()) }
        addTopologyRoutes(to: router)
        addHostRoutes(to: router)
        addRebalancingRoutes(to: router)
        router.on(ConnectAPI.retryInstance) { call in try await retryInstance(call, try call.id("instance")) }
        router.on(ConnectAPI.showMove) { call in try await latestMove(of: try call.id("instance")) }
        router.on(ConnectAPI.listMoves) { _ in try await latestMoves() }
        addInstanceRoutes(to: router)
    }

    // MARK: Peer listener: buyers by contract certificate, nodes by identity

    func addPeerRoutes(to router: ProgramRouter) {
        router.on(ConnectAPI.createInstance, looksItself: true) { call in try await launch(call, under: try buyer(call.principal)) }
        router.on(ConnectAPI.createInstanceGang) { call in try await launchGang(call, under: try buyer(call.principal)) }
        router.on(ConnectAPI.createInstanceReservation) { call in try await reserve(call, under: try buyer(call.principal)) }
        router.on(ConnectAPI.confirmInstanceReservation) { call in
            try await confirmReservation(call, try call.id("reservation"), under: try buyer(call.principal))
        }
        router.on(ConnectAPI.createVolume) { call in try await createVolume(call, under: try buyer(call.principal)) }
        router.on(ConnectAPI.createNetwork) { call in try await createNetwork(call, under: try buyer(call.principal)) }
        router.on(ConnectAPI.contractCapacity) { call in
            let terms = try buyer(call.principal)
            return memory.capacity(of: try activeContract(terms.contract, at: time.now()))
        }
        router.on(ConnectAPI.closing) { call in
            try await closing(of: try call.id("contract"), for: call.principal, after: try call.query.after())
        }
        router.on(ConnectAPI.renewNode) { call in try await renewNode(call.body, host: try node(call.principal)) }
        router.on(ConnectAPI.hello) { call in try await hello(call.body, from: try node(call.principal)) }
        router.on(ConnectAPI.intents) { call in
            try await intents(for: try node(call.principal), after: try call.query.after(), wait: try call.query.wait())
        }
        router.on(ConnectAPI.report) { call in try await report(call.body, from: try node(call.principal)) }
        router.raw(.get, "/v1/node/image-files/{sha256}") { request, context in
            _ = try node(context.principal)
            return try await sendFile(sha256: context.parameters.get("sha256") ?? "", request)
        }
        addInstanceRoutes(to: router)
    }

    // MARK: Both

    private func addInstanceRoutes(to router: ProgramRouter) {
        addVolumeRoutes(to: router) { try scope($0) }
        addNetworkRoutes(to: router) { try scope($0) }
        router.on(ConnectAPI.listImages) { call in
            if case .contract = call.principal { _ = try scope(call.principal) }
            return CloudAPI.Page(try await images())
        }
        router.on(ConnectAPI.listInstances) { call in
            try await instances(
                under: try scope(call.principal), limit: try call.query.limit(), cursor: call.query.text("cursor"),
                stuck: call.query.text("stuck") == "true", host: call.query.text("host"))
        }
        router.on(ConnectAPI.showInstance) { call in
            let contract = try scope(call.principal)
            let id = try call.id("instance", as: InstanceID.self)
            return try await database.read { context in
                let record = try instance(id, under: contract, in: context)
                return record.view(hostName: memory.hostName(record.host), at: time.now())
            }
        }
        router.on(ConnectAPI.actOnInstance) { call in
            try await act(call, on: try call.id("instance"), under: try scope(call.principal))
        }
        router.on(ConnectAPI.listInstanceReservations) { call in
            try await reservations(under: try scope(call.principal), limit: try call.query.limit(), cursor: call.query.text("cursor"))
        }
        router.on(ConnectAPI.showInstanceReservation) { call in
            let (contract, id) = (try scope(call.principal), try call.id("reservation", as: InstanceReservationID.self))
            return try await database.read { try reservation(id, under: contract, in: $0) }
        }
        router.on(ConnectAPI.releaseInstanceReservation) { call in
            try await releaseReservation(call, try call.id("reservation"), under: try scope(call.principal))
        }
        router.on(ConnectAPI.explainPlacement) { call in try explain(call.body, under: try scope(call.principal)) }
        router.on(ConnectAPI.console) { call in try await console(of: try call.id("instance"), under: try scope(call.principal)) }
        router.on(ConnectAPI.contractChanges) { call in
            let topics = try scope(call.principal).map { [Self.contractTopic($0)] }
            let page = try await database.awaitChanges(topics: topics, after: try call.query.after(), wait: try call.query.wait())
            return ChangePage(
                changes: page.changes.map {
                    ChangeRecord(revision: $0.revision, topic: $0.kind, subject: $0.subject, kind: $0.kind, at: $0.at)
                },
                latest: page.latest)
        }
        router.on(ConnectAPI.contractMeters) { call in
            try await meters(under: try scope(call.principal), after: try call.query.after())
        }
    }

    // MARK: Who may

    /// The terms of the buyer's certificate, when its contract is in force here and now.
    private func buyer(_ principal: Principal) throws -> ContractTerms {
        guard case .contract(let terms) = principal, terms.side == .buyer else {
            throw Refusal("http.forbidden", .forbidden, "This needs a buyer's contract certificate.")
        }
        _ = try activeContract(terms.contract, at: time.now())
        return terms
    }

    /// The contract the caller is confined to; nil for the operator, who sees all.
    private func scope(_ principal: Principal) throws -> ContractID? {
        principal == .operator ? nil : try buyer(principal).contract
    }

    /// The host a node speaks for: only nodes of this datacenter's own participant.
    private func node(_ principal: Principal) throws -> HostID {
        guard case .program(identity.record.participant, .node, let id) = principal, let host = HostID(id) else {
            throw Refusal("http.forbidden", .forbidden, "This is for the nodes of this datacenter.")
        }
        return host
    }
}
