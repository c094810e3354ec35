public import Primitives

/// RunInstances.
public struct RunInstances: ActionRequest {
    public static let action = Action.runInstances
    public let image: ImageID
    public let instanceType: String
    public let minimumCount: Int
    public let maximumCount: Int
    public let keyName: String?
    /// As sent: base64.
    public let userData: String?
    public let zone: String?
    /// Nobody else's machines on the same host.
    public let isDedicated: Bool
    public let tags: [ResourceTag]
    /// Makes the request safe to send again: the same token is answered with the same machines.
    public let clientToken: String?

    /// EC2's limit on decoded user data.
    static let largestUserData = 16 * 1_024

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        image = try IdentifierErrors.image.parse(try parameters.requiredString("ImageId"), as: ImageKind.self)
        instanceType = parameters.string("InstanceType") ?? "m1.small"
        guard let minimum = try parameters.integer("MinCount", in: 1...1_000) else { throw parameters.missing("MinCount") }
        guard let maximum = try parameters.integer("MaxCount", in: 1...1_000) else { throw parameters.missing("MaxCount") }
        guard minimum <= maximum else {
            throw EC2Error(.invalidParameterCombination, "MinCount (\(minimum)) is larger than MaxCount (\(maximum)).")
        }
        (minimumCount, maximumCount) = (Int(minimum), Int(maximum))
        keyName = parameters.string("KeyName")
        userData = try parameters.userData()
        tags = try parameters.tagSpecification(for: "instance")
        clientToken = try parameters.clientToken()
        (zone, isDedicated) = try parameters.placement()
        try parameters.takeDefaults()
    }

    /// Everything that makes two requests the same one, the client token apart.
    public var canonicalText: String {
        let fields =
            [
                image.description, instanceType, String(minimumCount), String(maximumCount), keyName ?? "", userData ?? "", zone ?? "",
            ] + (isDedicated ? ["dedicated"] : [])
        let tagFields = tags.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
        // Lengths in front, so that no two different lists of fields give the same text.
        return (fields + tagFields).map { "\($0.utf8.count):\($0)" }.joined()
    }

    public struct Response: ActionResponse {
        public var reservation: ReservationDescription
        public init(reservation: ReservationDescription) { self.reservation = reservation }
        public func write(to xml: inout XMLWriter) { reservation.write(to: &xml) }
    }
}

extension ParameterReader {
    fileprivate mutating func userData() throws(EC2Error) -> String? {
        guard let text = string("UserData"), !text.isEmpty else { return nil }
        guard let raw = decodeBase64(text) else { throw EC2Error(.invalidUserDataMalformed, "Invalid BASE64 encoding of user data.") }
        guard raw.count <= RunInstances.largestUserData else {
            throw EC2Error(
                .invalidParameterValue,
                "User data is limited to \(RunInstances.largestUserData) bytes before encoding; this is \(raw.count).")
        }
        return text
    }

    mutating func clientToken() throws(EC2Error) -> String? {
        guard let token = string("ClientToken"), !token.isEmpty else { return nil }
        guard token.utf8.count <= 64, token.utf8.allSatisfy({ (33...126).contains($0) }) else {
            throw EC2Error(.invalidParameterValue, "A client token has at most 64 printable ASCII characters.")
        }
        return token
    }

    fileprivate mutating func placement() throws(EC2Error) -> (zone: String?, isDedicated: Bool) {
        let found = try structure("Placement") { (placement: inout ParameterReader) throws(EC2Error) -> (String?, Bool) in
            let tenancy = try placement.choice("Tenancy", of: ["default", "dedicated"])
            try placement.refuse(
                "AvailabilityZoneId", "Affinity", "GroupName", "GroupId", "PartitionNumber", "HostId", "SpreadDomain",
                "HostResourceGroupArn")
            return (placement.string("AvailabilityZone").flatMap { $0.isEmpty ? nil : $0 }, tenancy == "dedicated")
        }
        return found ?? (nil, false)
    }

    /// Parameters that clients send with the value that is true here anyway, and those that mean something else than we can do.
    fileprivate mutating func takeDefaults() throws(EC2Error) {
        try accept("EbsOptimized", only: "false")
        try accept("DisableApiTermination", only: "false")
        try accept("DisableApiStop", only: "false")
        try accept("InstanceInitiatedShutdownBehavior", only: "stop")
        _ = try structure("Monitoring") { (monitoring: inout ParameterReader) throws(EC2Error) in
            try monitoring.accept("Enabled", only: "false")
        }
        _ = try structure("EnclaveOptions") { (enclave: inout ParameterReader) throws(EC2Error) in
            try enclave.accept("Enabled", only: "false")
        }
        _ = try structure("HibernationOptions") { (options: inout ParameterReader) throws(EC2Error) in
            try options.accept("Configured", only: "false")
        }
        _ = try structure("CreditSpecification") { (credit: inout ParameterReader) throws(EC2Error) in
            try credit.accept("CpuCredits", only: "standard", "unlimited")
        }
        _ = try structure("MetadataOptions") { (options: inout ParameterReader) throws(EC2Error) in
            try options.accept("HttpEndpoint", only: "enabled")
            try options.accept("HttpTokens", only: "optional")
            try options.accept("HttpProtocolIpv6", only: "disabled")
            try options.accept("InstanceMetadataTags", only: "disabled", "enabled")
            _ = try options.integer("HttpPutResponseHopLimit", in: 1...64)
        }
        try refuse(
            "AdditionalInfo", "BlockDeviceMapping", "CapacityReservationSpecification", "CpuOptions", "ElasticGpuSpecification",
            "ElasticInferenceAccelerator", "EnablePrimaryIpv6", "IamInstanceProfile", "InstanceMarketOptions", "Ipv6Address",
            "Ipv6AddressCount",
            "KernelId", "LaunchTemplate", "LicenseSpecification", "MaintenanceOptions", "NetworkInterface", "NetworkPerformanceOptions",
            "Operator",
            "PrivateDnsNameOptions", "PrivateIpAddress", "RamdiskId", "SecondaryInterface", "SecurityGroup", "SecurityGroupId", "SubnetId")
    }
}
