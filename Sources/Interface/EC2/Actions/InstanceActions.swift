public import Primitives

// StartInstances, StopInstances, RebootInstances, TerminateInstances.

/// What an instance's state was and is.
public struct InstanceStateChange: Sendable {
    public var instance: InstanceID
    public var previous: InstanceStateName
    public var current: InstanceStateName

    public init(instance: InstanceID, previous: InstanceStateName, current: InstanceStateName) {
        self.instance = instance
        self.previous = previous
        self.current = current
    }
}

public struct StateChangesResponse: ActionResponse {
    public var changes: [InstanceStateChange]
    public init(changes: [InstanceStateChange]) { self.changes = changes }

    public func write(to xml: inout XMLWriter) {
        xml.list("instancesSet", changes) { xml, change in
            xml.text("instanceId", change.instance.description)
            xml.state("currentState", change.current)
            xml.state("previousState", change.previous)
        }
    }
}

extension ParameterReader {
    fileprivate mutating func instances() throws(EC2Error) -> [InstanceID] {
        let identifiers = try strings("InstanceId")
        guard !identifiers.isEmpty else { throw missing("InstanceId") }
        return try IdentifierErrors.instance.parse(identifiers, as: InstanceKind.self)
    }
}

public struct StartInstances: ActionRequest {
    public static let action = Action.startInstances
    public let instances: [InstanceID]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        instances = try parameters.instances()
        try parameters.refuse("AdditionalInfo")
    }

    public typealias Response = StateChangesResponse
}

public struct StopInstances: ActionRequest {
    public static let action = Action.stopInstances
    public let instances: [InstanceID]
    /// Switch off without asking the guest.
    public let force: Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        instances = try parameters.instances()
        let skip = try parameters.boolean("SkipOsShutdown") ?? false
        force = try parameters.boolean("Force") ?? false || skip
        try parameters.accept("Hibernate", only: "false")
    }

    public typealias Response = StateChangesResponse
}

public struct RebootInstances: ActionRequest {
    public static let action = Action.rebootInstances
    public let instances: [InstanceID]
    public init(_ parameters: inout ParameterReader) throws(EC2Error) { instances = try parameters.instances() }
    public typealias Response = SuccessResponse
}

public struct TerminateInstances: ActionRequest {
    public static let action = Action.terminateInstances
    public let instances: [InstanceID]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        instances = try parameters.instances()
        // The disk goes with the machine, so how it is switched off makes no difference.
        _ = try parameters.boolean("Force")
        _ = try parameters.boolean("SkipOsShutdown")
    }

    public typealias Response = StateChangesResponse
}
