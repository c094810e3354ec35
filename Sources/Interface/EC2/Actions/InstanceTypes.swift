public import Primitives

public struct DescribeInstanceTypes: ActionRequest {
    public static let action = Action.describeInstanceTypes
    public let names: [String]
    public let paging: Paging
    public let filter: @Sendable (InstanceTypeDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        names = try parameters.strings("InstanceType")
        _ = try parameters.boolean("IncludeUnsupportedInRegion")
        let filters = try parameters.filters()
        filter = try InstanceTypeDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 5...100, filters: filters, selection: names)
    }

    public struct Response: ActionResponse {
        public var types: [InstanceTypeDescription]
        public var nextToken: String?

        public init(types: [InstanceTypeDescription], nextToken: String?) {
            self.types = types
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("instanceTypeSet", types) { xml, type in type.write(to: &xml) }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}

/// An offering in EC2's words.
public struct InstanceTypeDescription: Sendable {
    public var name: String
    public var resources: Resources
    /// A whole host, without a hypervisor.
    public var isMetal: Bool

    public init(name: String, resources: Resources, isMetal: Bool = false) {
        self.name = name
        self.resources = resources
        self.isMetal = isMetal
    }

    /// What pages are cut by.
    public var position: String { name }

    private var virtualCPUs: Int64 { (resources.milliCPU + 999) / 1_000 }

    func write(to xml: inout XMLWriter) {
        xml.text("instanceType", name)
        xml.boolean("currentGeneration", true)
        xml.boolean("freeTierEligible", false)
        writeWords("supportedUsageClasses", ["on-demand"], to: &xml)
        writeWords("supportedRootDeviceTypes", [RootDevice.type], to: &xml)
        writeWords("supportedVirtualizationTypes", ["hvm"], to: &xml)
        xml.boolean("bareMetal", isMetal)
        if !isMetal { xml.text("hypervisor", "nitro") }
        xml.element("processorInfo") { xml in writeWords("supportedArchitectures", ["x86_64"], to: &xml) }
        xml.element("vCpuInfo") { xml in
            xml.integer("defaultVCpus", virtualCPUs)
            xml.integer("defaultCores", virtualCPUs)
            xml.integer("defaultThreadsPerCore", 1)
        }
        xml.element("memoryInfo") { xml in xml.integer("sizeInMiB", resources.memoryMiB) }
        xml.boolean("instanceStorageSupported", false)
        xml.element("ebsInfo") { xml in
            xml.text("ebsOptimizedSupport", "unsupported")
            xml.text("encryptionSupport", "unsupported")
            xml.text("nvmeSupport", "unsupported")
        }
        xml.element("networkInfo") { xml in
            xml.text("networkPerformance", resources.networkMbps > 0 ? "\(resources.networkMbps) Megabit" : "Moderate")
            xml.integer("maximumNetworkInterfaces", 1)
            xml.integer("ipv4AddressesPerInterface", 1)
            xml.integer("ipv6AddressesPerInterface", 0)
            xml.boolean("ipv6Supported", false)
            xml.text("enaSupport", "unsupported")
            xml.boolean("efaSupported", false)
        }
        xml.boolean("hibernationSupported", false)
        xml.boolean("burstablePerformanceSupported", false)
        xml.boolean("dedicatedHostsSupported", false)
        xml.boolean("autoRecoverySupported", false)
        writeWords("supportedBootModes", ["legacy-bios"], to: &xml)
    }

    private func writeWords(_ name: StaticString, _ words: [String], to xml: inout XMLWriter) {
        xml.element(name) { xml in for word in words { xml.text("item", word) } }
    }

    static let filters = FilterSchema<InstanceTypeDescription>(
        [
            "auto-recovery-supported": { _ in ["false"] }, "bare-metal": { [String($0.isMetal)] },
            "burstable-performance-supported": { _ in ["false"] },
            "current-generation": { _ in ["true"] }, "dedicated-hosts-supported": { _ in ["false"] },
            "ebs-info.ebs-optimized-support": { _ in ["unsupported"] }, "ebs-info.encryption-support": { _ in ["unsupported"] },
            "ebs-info.nvme-support": { _ in ["unsupported"] }, "free-tier-eligible": { _ in ["false"] },
            "hibernation-supported": { _ in ["false"] },
            "hypervisor": { $0.isMetal ? [] : ["nitro"] }, "instance-storage-supported": { _ in ["false"] }, "instance-type": { [$0.name] },
            "memory-info.size-in-mib": { [String($0.resources.memoryMiB)] }, "network-info.efa-supported": { _ in ["false"] },
            "network-info.ena-support": { _ in ["unsupported"] }, "network-info.ipv4-addresses-per-interface": { _ in ["1"] },
            "network-info.ipv6-addresses-per-interface": { _ in ["0"] }, "network-info.ipv6-supported": { _ in ["false"] },
            "network-info.maximum-network-interfaces": { _ in ["1"] }, "processor-info.supported-architecture": { _ in ["x86_64"] },
            "supported-boot-mode": { _ in ["legacy-bios"] }, "supported-root-device-type": { _ in [RootDevice.type] },
            "supported-usage-class": { _ in ["on-demand"] }, "supported-virtualization-type": { _ in ["hvm"] },
            "vcpu-info.default-cores": { [String($0.virtualCPUs)] }, "vcpu-info.default-threads-per-core": { _ in ["1"] },
            "vcpu-info.default-vcpus": { [String($0.virtualCPUs)] },
        ],
        unset: [
            "instance-storage-info.disk.count", "instance-storage-info.disk.size-in-gb", "instance-storage-info.disk.type",
            "instance-storage-info.total-size-in-gb", "instance-storage-info.nvme-support", "instance-storage-info.encryption-support",
            "processor-info.sustained-clock-speed-in-ghz", "processor-info.supported-features", "network-info.network-performance",
            "network-info.encryption-in-transit-supported", "nitro-enclaves-support", "nitro-tpm-support", "vcpu-info.valid-cores",
            "vcpu-info.valid-threads-per-core",
        ])
}
