// DescribeRegions, DescribeAvailabilityZones.

public struct DescribeRegions: ActionRequest {
    public static let action = Action.describeRegions
    public let names: [String]
    public let filter: @Sendable (RegionDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        names = try parameters.strings("RegionName")
        filter = try RegionDescription.filters.matcher(try parameters.filters())
        // Regions that need opting in to do not exist here, so all and enabled are the same.
        _ = try parameters.boolean("AllRegions")
    }

    public struct Response: ActionResponse {
        public var regions: [RegionDescription]
        public init(regions: [RegionDescription]) { self.regions = regions }

        public func write(to xml: inout XMLWriter) {
            xml.list("regionInfo", regions) { xml, region in
                xml.text("regionName", region.name)
                xml.text("regionEndpoint", region.endpoint)
                xml.text("optInStatus", RegionDescription.optInStatus)
            }
        }
    }
}

public struct RegionDescription: Sendable {
    static let optInStatus = "opt-in-not-required"
    public var name: String
    /// Host and port of the EC2 API.
    public var endpoint: String

    public init(name: String, endpoint: String) {
        self.name = name
        self.endpoint = endpoint
    }

    static let filters = FilterSchema<RegionDescription>([
        "region-name": { [$0.name] }, "endpoint": { [$0.endpoint] }, "opt-in-status": { _ in [optInStatus] },
    ])
}

public struct DescribeAvailabilityZones: ActionRequest {
    public static let action = Action.describeAvailabilityZones
    public let names: [String]
    public let identifiers: [String]
    public let filter: @Sendable (AvailabilityZoneDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        names = try parameters.strings("ZoneName")
        identifiers = try parameters.strings("ZoneId")
        filter = try AvailabilityZoneDescription.filters.matcher(try parameters.filters())
        _ = try parameters.boolean("AllAvailabilityZones")
    }

    public struct Response: ActionResponse {
        public var zones: [AvailabilityZoneDescription]
        public init(zones: [AvailabilityZoneDescription]) { self.zones = zones }

        public func write(to xml: inout XMLWriter) {
            xml.list("availabilityZoneInfo", zones) { xml, zone in
                xml.text("zoneName", zone.name)
                xml.text("zoneId", zone.identifier)
                xml.text("zoneState", "available")
                xml.text("regionName", zone.region)
                xml.element("messageSet") { _ in }
                xml.text("optInStatus", RegionDescription.optInStatus)
                xml.text("groupName", zone.region)
                xml.text("networkBorderGroup", zone.region)
                xml.text("zoneType", "availability-zone")
            }
        }
    }
}

public struct AvailabilityZoneDescription: Sendable {
    public var name: String
    /// The same zone for every account; here the name itself.
    public var identifier: String
    public var region: String

    public init(name: String, identifier: String, region: String) {
        self.name = name
        self.identifier = identifier
        self.region = region
    }

    static let filters = FilterSchema<AvailabilityZoneDescription>(
        [
            "zone-name": { [$0.name] }, "zone-id": { [$0.identifier] }, "region-name": { [$0.region] }, "state": { _ in ["available"] },
            "group-name": { [$0.region] }, "opt-in-status": { _ in [RegionDescription.optInStatus] },
            "zone-type": { _ in ["availability-zone"] },
        ], unset: ["message", "parent-zone-id", "parent-zone-name"])
}
