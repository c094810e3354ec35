import Primitives

extension InstanceDescription {
    /// The filters of DescribeInstances.
    package static let filters = FilterSchema<InstanceDescription>(
        identityFilters.merging(stateFilters) { $1 }.merging(hardwareFilters) { $1 }.merging(networkFilters) { $1 },
        tags: { dictionary($0.tags) }, unset: unsetFilters)

    private typealias Fields = [String: @Sendable (InstanceDescription) -> [String]]

    private static let identityFilters: Fields = [
        "client-token": { $0.clientToken.map { [$0] } ?? [] },
        "image-id": { [$0.image.description] },
        "instance-id": { [$0.id.description] },
        "instance-type": { [$0.instanceType] },
        "key-name": { $0.keyName.map { [$0] } ?? [] },
        "launch-index": { [String($0.launchIndex)] },
        "launch-time": { [ec2Time($0.launched)] },
        "owner-id": { [$0.owner] },
        "reservation-id": { [$0.reservation.description] },
    ]

    private static let stateFilters: Fields = [
        "instance-state-code": { [String($0.state.code)] },
        "instance-state-name": { [$0.state.rawValue] },
        "reason": { $0.stateReasonMessage.map { [$0] } ?? [] },
        "state-reason-code": { $0.stateReasonCode.map { [$0] } ?? [] },
        "state-reason-message": { $0.stateReasonMessage.map { [$0] } ?? [] },
    ]

    private static let hardwareFilters: Fields = [
        "architecture": { [$0.architecture] },
        "availability-zone": { [$0.zone] },
        "block-device-mapping.attach-time": { [ec2Time($0.launched)] },
        "block-device-mapping.delete-on-termination": { _ in ["true"] },
        "block-device-mapping.device-name": { _ in [RootDevice.name] },
        "block-device-mapping.status": { [$0.state == .pending ? "attaching" : "attached"] },
        "block-device-mapping.volume-id": { [$0.volume.description] },
        "hibernation-options.configured": { _ in ["false"] },
        "hypervisor": { _ in ["xen"] },
        "metadata-options.http-endpoint": { _ in ["enabled"] },
        "metadata-options.http-put-response-hop-limit": { _ in ["1"] },
        "metadata-options.http-tokens": { _ in ["optional"] },
        "monitoring-state": { _ in ["disabled"] },
        "platform-details": { _ in ["Linux/UNIX"] },
        "root-device-name": { _ in [RootDevice.name] },
        "root-device-type": { _ in [RootDevice.type] },
        "tenancy": { _ in ["default"] },
        "virtualization-type": { _ in ["hvm"] },
    ]

    private static let networkFilters: Fields = [
        "network-interface.addresses.primary": { $0.privateAddress == nil ? [] : ["true"] },
        "network-interface.addresses.private-ip-address": { $0.privateAddress.map { [$0] } ?? [] },
        "network-interface.mac-address": { $0.macAddress.map { [$0] } ?? [] },
        "network-interface.network-interface-id": { $0.macAddress == nil ? [] : [$0.networkInterface.description] },
        "network-interface.owner-id": { [$0.owner] },
        "network-interface.private-dns-name": { [$0.privateName] },
        "network-interface.private-ip-address": { $0.privateAddress.map { [$0] } ?? [] },
        "network-interface.source-dest-check": { _ in ["true"] },
        "network-interface.status": { _ in ["in-use"] },
        "private-dns-name": { [$0.privateName] },
        "private-ip-address": { $0.privateAddress.map { [$0] } ?? [] },
        "source-dest-check": { _ in ["true"] },
    ]

    private static let unsetFilters = [
        "affinity", "boot-mode", "capacity-reservation-id", "dns-name", "group-id", "group-name", "host-id", "iam-instance-profile.arn",
        "iam-instance-profile.id", "instance-lifecycle", "instance.group-id", "instance.group-name", "ip-address", "ipv6-address",
        "kernel-id",
        "network-interface.association.public-ip", "network-interface.availability-zone", "network-interface.group-id",
        "network-interface.group-name", "network-interface.subnet-id", "network-interface.vpc-id", "outpost-arn", "placement-group-name",
        "placement-partition-number", "platform", "product-code", "product-code.type", "ramdisk-id", "requester-id",
        "spot-instance-request-id",
        "subnet-id", "usage-operation", "vpc-id",
    ]
}
