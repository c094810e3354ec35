public import Primitives

/// DescribeInstances.
public struct DescribeInstances: ActionRequest {
    public static let action = Action.describeInstances
    /// Empty: all.
    public let instances: [InstanceID]
    public let paging: Paging
    public let filter: @Sendable (InstanceDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        let identifiers = try parameters.strings("InstanceId")
        instances = try IdentifierErrors.instance.parse(identifiers, as: InstanceKind.self)
        _ = try parameters.boolean("IncludeManagedResources")
        let filters = try parameters.filters()
        filter = try InstanceDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 5...1_000, filters: filters, selection: identifiers)
    }

    public struct Response: ActionResponse {
        public var reservations: [ReservationDescription]
        public var nextToken: String?

        public init(reservations: [ReservationDescription], nextToken: String?) {
            self.reservations = reservations
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("reservationSet", reservations) { xml, reservation in reservation.write(to: &xml) }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}
