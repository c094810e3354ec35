public import Primitives

/// Instances that are launched all or not at all.
public struct CreateInstanceGang: Codable, Sendable {
    /// 1 to 256, each with an identifier of its own.
    public var instances: [CreateInstance]
    public init(instances: [CreateInstance]) { self.instances = instances }
}

public struct InstanceGangView: Codable, Sendable {
    /// In the order of the request.
    public var instances: [InstanceView]
    public init(instances: [InstanceView]) { self.instances = instances }
}

/// Room for instances that come later: for all of them, or for none.
public struct CreateInstanceReservation: Codable, Sendable {
    /// 1 to 256; confirming the reservation launches them as they are here.
    public var instances: [CreateInstance]
    /// When the room is given back, unless it was confirmed before: at most a day ahead, and not after the contract.
    public var until: Instant
    public init(instances: [CreateInstance], until: Instant) {
        self.instances = instances
        self.until = until
    }
}

public enum InstanceReservationState: String, Codable, Sendable, CaseIterable { case held, confirmed, released, expired }

/// Where room is held for one instance.
public struct ReservedPlaceView: Codable, Sendable {
    public var instance: InstanceID
    public var resources: Resources
    public var host: HostID
    public var hostName: String?
    public init(instance: InstanceID, resources: Resources, host: HostID, hostName: String?) {
        self.instance = instance
        self.resources = resources
        self.host = host
        self.hostName = hostName
    }
}

public struct InstanceReservationView: Codable, Sendable {
    public var id: InstanceReservationID
    public var contract: ContractID
    public var state: InstanceReservationState
    public var until: Instant
    public var made: Instant
    /// Empty once it is not held any more.
    public var places: [ReservedPlaceView]
    public init(
        id: InstanceReservationID, contract: ContractID, state: InstanceReservationState, until: Instant, made: Instant,
        places: [ReservedPlaceView]
    ) {
        self.id = id
        self.contract = contract
        self.state = state
        self.until = until
        self.made = made
        self.places = places
    }
}

extension ConnectAPI {
    public static let createInstanceGang = Endpoint(
        "createInstanceGang", .post, "/v1/instance-gangs", "Run several instances under this contract, all or none.", access: [.buyer],
        success: 202, request: CreateInstanceGang.self, response: InstanceGangView.self)
    public static let createInstanceReservation = Endpoint(
        "createInstanceReservation", .post, "/v1/instance-reservations", "Hold room for instances under this contract until a time.",
        access: [.buyer], success: 201, request: CreateInstanceReservation.self, response: InstanceReservationView.self)
    public static let listInstanceReservations = Endpoint(
        "listInstanceReservations", .get, "/v1/instance-reservations",
        "Room held under this contract, by identifier; the operator sees all.",
        access: [.buyer, .operator], query: QueryParameter.paging, request: Empty.self, response: Page<InstanceReservationView>.self)
    public static let showInstanceReservation = Endpoint(
        "showInstanceReservation", .get, "/v1/instance-reservations/{reservation}", "One reservation of room for instances.",
        access: [.buyer, .operator], request: Empty.self, response: InstanceReservationView.self)
    public static let confirmInstanceReservation = Endpoint(
        "confirmInstanceReservation", .post, "/v1/instance-reservations/{reservation}/confirm",
        "Run the instances for which room is held, where it is held.", access: [.buyer], success: 202, request: Empty.self,
        response: InstanceGangView.self)
    public static let releaseInstanceReservation = Endpoint(
        "releaseInstanceReservation", .delete, "/v1/instance-reservations/{reservation}", "Give back room that is held.",
        access: [.buyer, .operator], request: Empty.self, response: InstanceReservationView.self)
}
