public import Primitives

/// The states of an instance, with the numbers EC2 gives them.
public enum InstanceStateName: String, Sendable, CaseIterable {
    case pending, running, stopping, stopped, terminated
    case shuttingDown = "shutting-down"

    public var code: Int {
        switch self {
        case .pending: 0
        case .running: 16
        case .shuttingDown: 32
        case .terminated: 48
        case .stopping: 64
        case .stopped: 80
        }
    }
}

/// An instance as EC2 shows it.
public struct InstanceDescription: Sendable {
    public var id: InstanceID
    public var reservation: ReservationID
    /// The account it belongs to.
    public var owner: String
    public var image: ImageID
    public var instanceType: String
    public var virtualCPUs: Int64
    public var state: InstanceStateName
    public var stateReasonCode: String?
    public var stateReasonMessage: String?
    public var stateChanged: Instant
    public var launched: Instant
    public var launchIndex: Int64
    public var keyName: String?
    public var clientToken: String?
    public var zone: String
    /// `x86_64` or `arm64`
    public var architecture: String
    public var privateAddress: String?
    public var macAddress: String?
    public var tags: [ResourceTag]
    /// Beside the root disk.
    public var volumes: [(volume: VolumeID, attachment: VolumeDescription.Attachment)] = []

    public init(
        id: InstanceID, reservation: ReservationID, owner: String, image: ImageID, instanceType: String, virtualCPUs: Int64,
        state: InstanceStateName, stateReasonCode: String?, stateReasonMessage: String?, stateChanged: Instant, launched: Instant,
        launchIndex: Int64, keyName: String?, clientToken: String?, zone: String, architecture: String, privateAddress: String?,
        macAddress: String?, tags: [ResourceTag]
    ) {
        self.id = id
        self.reservation = reservation
        self.owner = owner
        self.image = image
        self.instanceType = instanceType
        self.virtualCPUs = virtualCPUs
        self.state = state
        self.stateReasonCode = stateReasonCode
        self.stateReasonMessage = stateReasonMessage
        self.stateChanged = stateChanged
        self.launched = launched
        self.launchIndex = launchIndex
        self.keyName = keyName
        self.clientToken = clientToken
        self.zone = zone
        self.architecture = architecture
        self.privateAddress = privateAddress
        self.macAddress = macAddress
        self.tags = tags
    }

    /// What pages are cut by: newest last, ties by identifier.
    public var position: String {
        let time = String(launched.microseconds)
        return String(repeating: "0", count: max(0, 20 - time.utf8.count)) + time + " " + id.description
    }

    /// `ip-10-0-0-5.internal`, as EC2 names machines; empty while there is no address.
    var privateName: String { privateAddress.map { "ip-\(String($0.map { $0 == "." ? "-" : $0 })).internal" } ?? "" }
    // The root disk and the network interface are not resources of their own yet; they carry their instance's number.
    var volume: VolumeID { VolumeID(bits: id.bits) }
    var networkInterface: NetworkInterfaceID { NetworkInterfaceID(bits: id.bits) }
}

/// Instances that were launched by one request.
public struct ReservationDescription: Sendable {
    public var id: ReservationID
    public var owner: String
    public var instances: [InstanceDescription]

    public init(id: ReservationID, owner: String, instances: [InstanceDescription]) {
        self.id = id
        self.owner = owner
        self.instances = instances
    }

    /// Groups instances by reservation, in the order in which they first appear.
    public static func grouping(_ instances: [InstanceDescription]) -> [ReservationDescription] {
        var order: [ReservationID] = []
        var groups: [ReservationID: ReservationDescription] = [:]
        for instance in instances {
            if groups[instance.reservation] == nil { order.append(instance.reservation) }
            groups[instance.reservation, default: ReservationDescription(id: instance.reservation, owner: instance.owner, instances: [])]
                .instances.append(instance)
        }
        return order.compactMap { groups[$0] }
    }

    func write(to xml: inout XMLWriter) {
        xml.text("reservationId", id.description)
        xml.text("ownerId", owner)
        xml.element("groupSet") { _ in }
        xml.list("instancesSet", instances) { xml, instance in instance.write(to: &xml) }
    }
}

extension InstanceDescription {
    func write(to xml: inout XMLWriter) {
        xml.text("instanceId", id.description)
        xml.text("imageId", image.description)
        xml.state("instanceState", state)
        xml.text("privateDnsName", privateName)
        xml.text("dnsName", "")
        xml.text("reason", stateReasonMessage ?? "")
        xml.text("keyName", ifPresent: keyName)
        xml.integer("amiLaunchIndex", launchIndex)
        xml.element("productCodes") { _ in }
        xml.text("instanceType", instanceType)
        xml.time("launchTime", launched)
        xml.element("placement") { xml in
            xml.text("availabilityZone", zone)
            xml.text("groupName", "")
            xml.text("tenancy", "default")
        }
        xml.element("monitoring") { xml in xml.text("state", "disabled") }
        xml.text("privateIpAddress", ifPresent: privateAddress)
        writeHardware(to: &xml)
        writeDisk(to: &xml)
        writeNetwork(to: &xml)
        if let stateReasonCode {
            xml.element("stateReason") { xml in
                xml.text("code", stateReasonCode)
                xml.text("message", stateReasonMessage ?? stateReasonCode)
            }
        }
        xml.text("clientToken", clientToken ?? "")
        xml.tagSet(tags)
    }

    private func writeHardware(to xml: inout XMLWriter) {
        xml.text("architecture", architecture)
        xml.text("virtualizationType", "hvm")
        xml.text("hypervisor", "xen")
        xml.boolean("ebsOptimized", false)
        xml.boolean("enaSupport", false)
        xml.text("platformDetails", "Linux/UNIX")
        xml.element("cpuOptions") { xml in
            xml.integer("coreCount", virtualCPUs)
            xml.integer("threadsPerCore", 1)
        }
        xml.element("hibernationOptions") { xml in xml.boolean("configured", false) }
        xml.element("enclaveOptions") { xml in xml.boolean("enabled", false) }
        xml.element("metadataOptions") { xml in
            xml.text("state", "applied")
            xml.text("httpTokens", "optional")
            xml.integer("httpPutResponseHopLimit", 1)
            xml.text("httpEndpoint", "enabled")
            xml.text("httpProtocolIpv6", "disabled")
            xml.text("instanceMetadataTags", "enabled")
        }
    }

    private func writeDisk(to xml: inout XMLWriter) {
        xml.text("rootDeviceType", RootDevice.type)
        xml.text("rootDeviceName", RootDevice.name)
        xml.element("blockDeviceMapping") { xml in
            guard state != .terminated else { return }
            xml.element("item") { xml in
                xml.text("deviceName", RootDevice.name)
                xml.element("ebs") { xml in
                    xml.text("volumeId", volume.description)
                    xml.text("status", state == .pending ? "attaching" : "attached")
                    xml.time("attachTime", launched)
                    xml.boolean("deleteOnTermination", true)
                }
            }
            for (volume, attachment) in volumes {
                xml.element("item") { xml in
                    xml.text("deviceName", attachment.device)
                    xml.element("ebs") { xml in
                        xml.text("volumeId", volume.description)
                        xml.text("status", attachment.status)
                        xml.time("attachTime", attachment.since)
                        xml.boolean("deleteOnTermination", false)
                    }
                }
            }
        }
    }

    private func writeNetwork(to xml: inout XMLWriter) {
        xml.boolean("sourceDestCheck", true)
        xml.element("groupSet") { _ in }
        xml.element("networkInterfaceSet") { xml in
            guard state != .terminated, let privateAddress, let macAddress else { return }
            xml.element("item") { xml in
                xml.text("networkInterfaceId", networkInterface.description)
                xml.text("ownerId", owner)
                xml.text("status", "in-use")
                xml.text("macAddress", macAddress)
                xml.text("privateIpAddress", privateAddress)
                xml.text("privateDnsName", privateName)
                xml.boolean("sourceDestCheck", true)
                xml.text("interfaceType", "interface")
                xml.element("groupSet") { _ in }
                xml.element("attachment") { xml in
                    xml.integer("deviceIndex", 0)
                    xml.text("status", "attached")
                    xml.time("attachTime", launched)
                    xml.boolean("deleteOnTermination", true)
                    xml.integer("networkCardIndex", 0)
                }
                xml.element("privateIpAddressesSet") { xml in
                    xml.element("item") { xml in
                        xml.text("privateIpAddress", privateAddress)
                        xml.text("privateDnsName", privateName)
                        xml.boolean("primary", true)
                    }
                }
            }
        }
    }
}

extension XMLWriter {
    mutating func state(_ name: StaticString, _ state: InstanceStateName) {
        element(name) { xml in
            xml.integer("code", state.code)
            xml.text("name", state.rawValue)
        }
    }
}
