import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// RunInstances.
    func addLaunchActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(
            RunInstances.self, check: { _, caller in try caller.user.authorize(.launchInstances) },
            rehearse: { request, caller in _ = try await launch(LaunchRequest(request), by: caller.user, dryRun: true) },
            perform: { request, caller in
                let records = try await launch(LaunchRequest(request), by: caller.user)
                let descriptions = try await describe(records, in: [caller.user.account])
                let reservations = ReservationDescription.grouping(descriptions)
                guard let reservation = reservations.first else { throw EC2Error(.internalError, "The launch made no reservation.") }
                return .init(reservation: reservation)
            })
    }
}

extension LaunchRequest {
    fileprivate init(_ request: RunInstances) {
        self.init(
            image: request.image, offering: request.instanceType, count: request.minimumCount...request.maximumCount,
            keyName: request.keyName,
            userData: request.userData, zone: request.zone,
            placement: request.isDedicated ? PlacementTerms(tenancy: TenancyTerms(host: TenancyTerm(.exclusive))) : nil,
            tags: request.tags, clientToken: request.clientToken,
            canonicalText: request.canonicalText)
    }
}
