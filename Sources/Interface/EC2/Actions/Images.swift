public import Primitives

public struct DescribeImages: ActionRequest {
    public static let action = Action.describeImages
    public let images: [ImageID]
    /// `self`, `amazon` or account identifiers; empty: everybody's.
    public let owners: [String]
    public let paging: Paging
    public let filter: @Sendable (ImageDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        let identifiers = try parameters.strings("ImageId")
        images = try IdentifierErrors.image.parse(identifiers, as: ImageKind.self)
        owners = try parameters.strings("Owner")
        // Every image may be run by everybody here, and none is deprecated or disabled.
        _ = try parameters.strings("ExecutableBy")
        _ = try parameters.boolean("IncludeDeprecated")
        _ = try parameters.boolean("IncludeDisabled")
        let filters = try parameters.filters()
        filter = try ImageDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 1...1_000, filters: filters, selection: identifiers)
    }

    public struct Response: ActionResponse {
        public var images: [ImageDescription]
        public var nextToken: String?

        public init(images: [ImageDescription], nextToken: String?) {
            self.images = images
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("imagesSet", images) { xml, image in image.write(to: &xml) }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}

public struct ImageDescription: Sendable {
    public var id: ImageID
    public var name: String
    public var description: String
    /// `x86_64` or `arm64`
    public var architecture: String
    public var owner: String
    public var sizeMiB: Int64
    public var created: Instant

    public init(id: ImageID, name: String, description: String, architecture: String, owner: String, sizeMiB: Int64, created: Instant) {
        self.id = id
        self.name = name
        self.description = description
        self.architecture = architecture
        self.owner = owner
        self.sizeMiB = sizeMiB
        self.created = created
    }

    /// What pages are cut by.
    public var position: String { id.description }

    private var sizeGiB: Int64 { max(1, (sizeMiB + 1_023) / 1_024) }

    func write(to xml: inout XMLWriter) {
        xml.text("imageId", id.description)
        xml.text("imageLocation", "\(owner)/\(name)")
        xml.text("imageState", "available")
        xml.text("imageOwnerId", owner)
        xml.time("creationDate", created)
        xml.boolean("isPublic", true)
        xml.text("architecture", architecture)
        xml.text("imageType", "machine")
        xml.text("name", name)
        xml.text("description", description)
        xml.text("rootDeviceType", RootDevice.type)
        xml.text("rootDeviceName", RootDevice.name)
        xml.element("blockDeviceMapping") { xml in
            xml.element("item") { xml in
                xml.text("deviceName", RootDevice.name)
                xml.element("ebs") { xml in
                    xml.integer("volumeSize", sizeGiB)
                    xml.boolean("deleteOnTermination", true)
                    xml.text("volumeType", "standard")
                    xml.boolean("encrypted", false)
                }
            }
        }
        xml.text("virtualizationType", "hvm")
        xml.text("hypervisor", "xen")
        xml.boolean("enaSupport", false)
        xml.text("platformDetails", "Linux/UNIX")
        xml.element("tagSet") { _ in }
    }

    static let filters = FilterSchema<ImageDescription>(
        [
            "architecture": { [$0.architecture] }, "block-device-mapping.delete-on-termination": { _ in ["true"] },
            "block-device-mapping.device-name": { _ in [RootDevice.name] }, "block-device-mapping.volume-size": { [String($0.sizeGiB)] },
            "block-device-mapping.volume-type": { _ in ["standard"] }, "block-device-mapping.encrypted": { _ in ["false"] },
            "creation-date": { [ec2Time($0.created)] }, "description": { [$0.description] }, "ena-support": { _ in ["false"] },
            "hypervisor": { _ in ["xen"] }, "image-id": { [$0.id.description] }, "image-type": { _ in ["machine"] },
            "is-public": { _ in ["true"] },
            "manifest-location": { ["\($0.owner)/\($0.name)"] }, "name": { [$0.name] }, "owner-id": { [$0.owner] },
            "root-device-name": { _ in [RootDevice.name] }, "root-device-type": { _ in [RootDevice.type] }, "state": { _ in ["available"] },
            "virtualization-type": { _ in ["hvm"] },
        ], tags: { _ in [:] },
        unset: [
            "block-device-mapping.snapshot-id", "kernel-id", "owner-alias", "platform", "product-code", "product-code.type", "ramdisk-id",
            "state-reason-code", "state-reason-message", "sriov-net-support", "free-tier-eligible", "image-allowed", "source-image-id",
            "source-image-region", "source-instance-id",
        ])
}

/// The disk a machine boots from: it outlives a stop, which EC2 calls `ebs`.
enum RootDevice {
    static let name = "/dev/vda"
    static let type = "ebs"
}
