public import Primitives

// CreateVolume, AttachVolume, DetachVolume, DeleteVolume, DescribeVolumes, ModifyVolume.

/// A volume as EC2 shows it.
public struct VolumeDescription: Sendable {
    public struct Attachment: Sendable {
        public var instance: InstanceID
        public var device: String
        /// `attaching`, `attached`, `detaching`
        public var status: String
        public var since: Instant

        public init(instance: InstanceID, device: String, status: String, since: Instant) {
            self.instance = instance
            self.device = device
            self.status = status
            self.since = since
        }
    }

    public var id: VolumeID
    public var sizeMiB: Int64
    public var iops: Int64
    /// EC2's names; `attaching` and `detaching` are states of the attachment, the volume is `in-use`.
    public var state: String
    public var zone: String
    public var created: Instant
    public var attachment: Attachment?
    public var tags: [ResourceTag]

    public init(
        id: VolumeID, sizeMiB: Int64, iops: Int64, state: String, zone: String, created: Instant, attachment: Attachment?,
        tags: [ResourceTag]
    ) {
        self.id = id
        self.sizeMiB = sizeMiB
        self.iops = iops
        self.state = state
        self.zone = zone
        self.created = created
        self.attachment = attachment
        self.tags = tags
    }

    public var position: String { id.description }
    /// EC2 counts in GiB; a volume that was made otherwise is shown with the next larger number.
    var sizeGiB: Int64 { (sizeMiB + 1_023) / 1_024 }
    var type: String { iops > 0 ? "io1" : "standard" }

    static let filters = FilterSchema<VolumeDescription>(
        [
            "volume-id": { [$0.id.description] }, "status": { [$0.state] }, "size": { [String($0.sizeGiB)] },
            "availability-zone": { [$0.zone] }, "volume-type": { [$0.type] }, "encrypted": { _ in ["false"] },
            "attachment.instance-id": { $0.attachment.map { [$0.instance.description] } ?? [] },
            "attachment.device": { $0.attachment.map { [$0.device] } ?? [] },
            "attachment.status": { $0.attachment.map { [$0.status] } ?? [] },
            "attachment.delete-on-termination": { $0.attachment == nil ? [] : ["false"] },
        ], tags: { dictionary($0.tags) }, unset: ["snapshot-id", "multi-attach-enabled", "fast-restored"])

    func write(to xml: inout XMLWriter) {
        xml.text("volumeId", id.description)
        xml.integer("size", sizeGiB)
        xml.text("snapshotId", "")
        xml.text("availabilityZone", zone)
        xml.text("status", state)
        xml.time("createTime", created)
        xml.list("attachmentSet", attachment.map { [$0] } ?? []) { xml, attachment in attachment.write(of: id, to: &xml) }
        xml.tagSet(tags)
        xml.text("volumeType", type)
        if iops > 0 { xml.integer("iops", iops) }
        xml.boolean("encrypted", false)
        xml.boolean("multiAttachEnabled", false)
    }
}

extension VolumeDescription.Attachment {
    func write(of volume: VolumeID, to xml: inout XMLWriter) {
        xml.text("volumeId", volume.description)
        xml.text("instanceId", instance.description)
        xml.text("device", device)
        xml.text("status", status)
        xml.time("attachTime", since)
        xml.boolean("deleteOnTermination", false)
    }
}

extension ParameterReader {
    fileprivate mutating func volume() throws(EC2Error) -> VolumeID {
        try IdentifierErrors.volume.parse(try requiredString("VolumeId"), as: VolumeKind.self)
    }

    fileprivate mutating func instance() throws(EC2Error) -> InstanceID? {
        guard let text = string("InstanceId"), !text.isEmpty else { return nil }
        return try IdentifierErrors.instance.parse(text, as: InstanceKind.self)
    }

    /// GiB, to MiB.
    fileprivate mutating func size() throws(EC2Error) -> Int64? { try integer("Size", in: 1...65_536).map { $0 * 1_024 } }

    /// All types are the same disks here; with IOPS a number is promised, without none.
    fileprivate mutating func volumeType() throws(EC2Error) {
        _ = try choice("VolumeType", of: ["standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"])
        try accept("MultiAttachEnabled", only: "false")
        try refuse("Throughput")
    }
}

public struct CreateVolume: ActionRequest {
    public static let action = Action.createVolume
    public let sizeMiB: Int64
    public let iops: Int64
    public let zone: String
    public let tags: [ResourceTag]
    public let clientToken: String?

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        zone = try parameters.requiredString("AvailabilityZone")
        try parameters.refuse(
            "SnapshotId", "KmsKeyId", "OutpostArn", "Operator", "VolumeInitializationRate", "AvailabilityZoneId", "SourceVolumeId")
        guard let size = try parameters.size() else { throw parameters.missing("Size") }
        sizeMiB = size
        iops = try parameters.integer("Iops", in: 0...1_000_000) ?? 0
        try parameters.volumeType()
        try parameters.accept("Encrypted", only: "false")
        tags = try parameters.tagSpecification(for: "volume")
        clientToken = try parameters.clientToken()
    }

    public struct Response: ActionResponse {
        public var volume: VolumeDescription
        public init(volume: VolumeDescription) { self.volume = volume }
        public func write(to xml: inout XMLWriter) { volume.write(to: &xml) }
    }
}

/// The answer of AttachVolume and DetachVolume.
public struct VolumeAttachmentResponse: ActionResponse {
    public var volume: VolumeID
    public var attachment: VolumeDescription.Attachment

    public init(volume: VolumeID, attachment: VolumeDescription.Attachment) {
        self.volume = volume
        self.attachment = attachment
    }

    public func write(to xml: inout XMLWriter) { attachment.write(of: volume, to: &xml) }
}

public struct AttachVolume: ActionRequest {
    public static let action = Action.attachVolume
    public let volume: VolumeID
    public let instance: InstanceID
    /// `vdb` to `vdu`. EC2 clients ask for names such as `/dev/sdf`, which say a place and not what the guest calls it: `b` to `u` count.
    public let device: String?

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        volume = try parameters.volume()
        guard let instance = try parameters.instance() else { throw parameters.missing("InstanceId") }
        self.instance = instance
        device = try parameters.device()
        try parameters.accept("EbsCardIndex", only: "0")
    }

    public typealias Response = VolumeAttachmentResponse
}

extension ParameterReader {
    fileprivate mutating func device() throws(EC2Error) -> String? {
        guard let text = string("Device"), !text.isEmpty else { return nil }
        let name = text.hasPrefix("/dev/") ? String(text.dropFirst(5)) : text
        guard ["sd", "vd", "xvd"].contains(String(name.dropLast())), let letter = name.last, ("b"..."u").contains(letter) else {
            throw EC2Error(
                .invalidParameterValue, "Value (\(text)) for parameter device is invalid. Expecting /dev/sdb to /dev/sdu.")
        }
        return "vd" + String(letter)
    }
}

public struct DetachVolume: ActionRequest {
    public static let action = Action.detachVolume
    public let volume: VolumeID
    public let instance: InstanceID?

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        volume = try parameters.volume()
        instance = try parameters.instance()
        _ = try parameters.device()
        // A guest is asked to let go; only a stopped machine cannot refuse.
        try parameters.accept("Force", only: "false")
    }

    public typealias Response = VolumeAttachmentResponse
}

public struct DeleteVolume: ActionRequest {
    public static let action = Action.deleteVolume
    public let volume: VolumeID
    public init(_ parameters: inout ParameterReader) throws(EC2Error) { volume = try parameters.volume() }
    public typealias Response = SuccessResponse
}

public struct ModifyVolume: ActionRequest {
    public static let action = Action.modifyVolume
    public let volume: VolumeID
    public let sizeMiB: Int64?
    public let iops: Int64?

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        volume = try parameters.volume()
        sizeMiB = try parameters.size()
        iops = try parameters.integer("Iops", in: 0...1_000_000)
        try parameters.volumeType()
    }

    public struct Response: ActionResponse {
        public var before: VolumeDescription
        public var after: VolumeDescription
        public var since: Instant

        public init(before: VolumeDescription, after: VolumeDescription, since: Instant) {
            self.before = before
            self.after = after
            self.since = since
        }

        public func write(to xml: inout XMLWriter) {
            xml.element("volumeModification") { xml in
                xml.text("volumeId", after.id.description)
                xml.text("modificationState", "modifying")
                xml.integer("targetSize", after.sizeGiB)
                xml.integer("targetIops", after.iops)
                xml.text("targetVolumeType", after.type)
                xml.integer("originalSize", before.sizeGiB)
                xml.integer("originalIops", before.iops)
                xml.text("originalVolumeType", before.type)
                xml.integer("progress", 0)
                xml.time("startTime", since)
            }
        }
    }
}

public struct DescribeVolumes: ActionRequest {
    public static let action = Action.describeVolumes
    /// Empty: all.
    public let volumes: [VolumeID]
    public let paging: Paging
    public let filter: @Sendable (VolumeDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        let identifiers = try parameters.strings("VolumeId")
        volumes = try IdentifierErrors.volume.parse(identifiers, as: VolumeKind.self)
        _ = try parameters.boolean("IncludeManagedResources")
        let filters = try parameters.filters()
        filter = try VolumeDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 5...1_000, filters: filters, selection: identifiers)
    }

    public struct Response: ActionResponse {
        public var volumes: [VolumeDescription]
        public var nextToken: String?

        public init(volumes: [VolumeDescription], nextToken: String?) {
            self.volumes = volumes
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("volumeSet", volumes) { xml, volume in volume.write(to: &xml) }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}
