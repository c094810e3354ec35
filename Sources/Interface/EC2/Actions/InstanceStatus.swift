public import Primitives

/// DescribeInstanceStatus.
public struct DescribeInstanceStatus: ActionRequest {
    public static let action = Action.describeInstanceStatus
    public let instances: [InstanceID]
    /// Otherwise only running instances are shown.
    public let includeAll: Bool
    public let paging: Paging
    public let filter: @Sendable (InstanceStatusDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        let identifiers = try parameters.strings("InstanceId")
        instances = try IdentifierErrors.instance.parse(identifiers, as: InstanceKind.self)
        includeAll = try parameters.boolean("IncludeAllInstances") ?? false
        _ = try parameters.boolean("IncludeManagedResources")
        let filters = try parameters.filters()
        filter = try InstanceStatusDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 5...1_000, filters: filters, selection: identifiers)
    }

    public struct Response: ActionResponse {
        public var statuses: [InstanceStatusDescription]
        public var nextToken: String?

        public init(statuses: [InstanceStatusDescription], nextToken: String?) {
            self.statuses = statuses
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("instanceStatusSet", statuses) { xml, status in status.write(to: &xml) }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}

/// An instance and whether its host can be reached.
public struct InstanceStatusDescription: Sendable {
    public var instance: InstanceID
    public var zone: String
    public var state: InstanceStateName
    /// False: no word from its host for too long.
    public var hostReachable: Bool

    public init(instance: InstanceID, zone: String, state: InstanceStateName, hostReachable: Bool) {
        self.instance = instance
        self.zone = zone
        self.state = state
        self.hostReachable = hostReachable
    }

    /// What pages are cut by.
    public var position: String { instance.description }

    private var summary: String {
        switch state {
        case .running: hostReachable ? "ok" : "impaired"
        case .pending: "initializing"
        default: "not-applicable"
        }
    }

    private var reachability: String? {
        switch state {
        case .running: hostReachable ? "passed" : "failed"
        case .pending: "initializing"
        default: nil
        }
    }

    func write(to xml: inout XMLWriter) {
        xml.text("instanceId", instance.description)
        xml.text("availabilityZone", zone)
        xml.element("eventsSet") { _ in }
        xml.state("instanceState", state)
        for name: StaticString in ["systemStatus", "instanceStatus"] {
            xml.element(name) { xml in
                xml.text("status", summary)
                guard let reachability else { return }
                xml.list("details", [reachability]) { xml, status in
                    xml.text("name", "reachability")
                    xml.text("status", status)
                }
            }
        }
    }

    static let filters = FilterSchema<InstanceStatusDescription>(
        [
            "availability-zone": { [$0.zone] }, "instance-state-code": { [String($0.state.code)] },
            "instance-state-name": { [$0.state.rawValue] },
            "instance-status.reachability": { $0.reachability.map { [$0] } ?? [] }, "instance-status.status": { [$0.summary] },
            "system-status.reachability": { $0.reachability.map { [$0] } ?? [] }, "system-status.status": { [$0.summary] },
        ],
        unset: [
            "event.code", "event.description", "event.instance-event-id", "event.not-after", "event.not-before",
            "event.not-before-deadline",
            "attached-ebs-status.status",
        ])
}
