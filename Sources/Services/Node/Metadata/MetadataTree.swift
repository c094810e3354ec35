package import CloudAPI
package import Drivers
import Foundation
package import Primitives

/// What an instance is told about itself, as a tree of folders and texts under `/latest` (EC2's instance metadata categories).
indirect enum MetadataTree: Sendable {
    case text(String)
    case bytes(Data)
    /// Names in the order they are listed. `label` replaces a name in the list, as for public keys.
    case folder([(name: String, label: String?, tree: MetadataTree)])

    /// What is at a path, nil when nothing is.
    func at(_ path: ArraySlice<Substring>) -> MetadataTree? {
        guard let name = path.first else { return self }
        guard case .folder(let members) = self else { return nil }
        return members.first { $0.name == name }?.tree.at(path.dropFirst())
    }

    /// The body of an answer: a text itself, or a folder's list, in which folders end in a slash.
    var body: Data {
        switch self {
        case .text(let text): Data(text.utf8)
        case .bytes(let data): data
        case .folder(let members): Data(members.map { $0.label ?? $0.name + ($0.tree.isFolder ? "/" : "") }.joined(separator: "\n").utf8)
        }
    }

    private var isFolder: Bool { if case .folder = self { true } else { false } }
}

/// An instance with the place it is in.
package struct MetadataSubject: Sendable {
    package var intent: InstanceIntent
    package var region: String
    package var zone: String
    /// The addresses of the network it is on.
    package var network: IPv4Prefix
    /// When this run of the instance began.
    package var pending: Instant

    package init(intent: InstanceIntent, region: String, zone: String, network: IPv4Prefix, pending: Instant) {
        self.intent = intent
        self.region = region
        self.zone = zone
        self.network = network
        self.pending = pending
    }

    /// Everything below `/<version>`.
    var tree: MetadataTree {
        var top: [(String, MetadataTree)] = [("dynamic", dynamic), ("meta-data", metaData)]
        if let data = userData { top.append(("user-data", .bytes(data))) }
        return folder(top)
    }

    private var userData: Data? {
        guard let text = intent.userData, let data = Data(base64Encoded: text), !data.isEmpty else { return nil }
        return data
    }

    private var metaData: MetadataTree {
        var items: [(String, MetadataTree)] = [
            ("ami-id", .text("\(intent.image.id)")), ("ami-launch-index", .text("\(intent.launchIndex)")),
            ("ami-manifest-path", .text("(unknown)")),
            ("block-device-mapping", folder([("ami", .text("vda")), ("root", .text("/dev/vda"))])), ("hostname", .text(fullName)),
            ("instance-action", .text("none")), ("instance-id", .text("\(intent.instance)")),
            ("instance-life-cycle", .text(intent.interruptible == true ? "spot" : "on-demand")),
            ("instance-type", .text(intent.offering)), ("local-hostname", .text(fullName)), ("local-ipv4", .text(intent.address)),
            ("mac", .text(intent.macAddress)),
            ("network", folder([("interfaces", folder([("macs", folder([(intent.macAddress, interface)]))]))])),
            ("placement", folder([("availability-zone", .text(zone)), ("region", .text(region))])), ("profile", .text("default-hvm")),
        ]
        if !intent.keys.isEmpty { items.append(("public-keys", publicKeys)) }
        items += [
            ("reservation-id", .text("\(intent.reservation)")), ("security-groups", .text("default")),
            ("services", folder([("domain", .text("internal")), ("partition", .text("aws"))])),
        ]
        if let moment = intent.interruption { items.append(("spot", Self.interruption(at: moment))) }
        if !intent.tags.isEmpty { items.append(("tags", folder([("instance", tags)]))) }
        return folder(items)
    }

    /// The notice that it is taken away: there only once it is announced (EC2 user guide, "Spot Instance interruption notices").
    private static func interruption(at moment: Instant) -> MetadataTree {
        let time = Instant(seconds: moment.microseconds / 1_000_000).description
        return .folder([
            (name: "instance-action", label: nil, tree: .text(#"{"action":"terminate","time":"\#(time)"}"#)),
            (name: "termination-time", label: nil, tree: .text(time)),
        ])
    }

    private var fullName: String { "\(intent.hostName).\(region).internal" }

    private var publicKeys: MetadataTree {
        .folder(
            intent.keys.enumerated().map { index, key in
                (name: "\(index)", label: "\(index)=\(key.name)", tree: folder([("openssh-key", .text(key.publicKey))]))
            })
    }

    /// Keys a path cannot hold are left out, as EC2 refuses them for instance tags in metadata.
    private var tags: MetadataTree {
        folder(
            intent.tags.sorted { $0.key < $1.key }.filter { !$0.key.isEmpty && !$0.key.contains("/") && $0.key != "." && $0.key != ".." }
                .map {
                    ($0.key, .text($0.value))
                })
    }

    /// Identifiers of things that have no record of their own are made from those that have: stable, and of EC2's form.
    private var interface: MetadataTree {
        let subnet = intent.network?.bits ?? UInt64(network.network.bits) << 8 | UInt64(network.length)
        let cidr = "\(network.network)/\(network.length)"
        return folder([
            ("device-number", .text("0")), ("interface-id", .text("\(NetworkInterfaceID(bits: intent.instance.bits))")),
            ("local-hostname", .text(fullName)), ("local-ipv4s", .text(intent.address)), ("mac", .text(intent.macAddress)),
            ("owner-id", .text("\(intent.account)")), ("security-group-ids", .text("sg-00000000000000000")),
            ("security-groups", .text("default")),
            ("subnet-id", .text("\(SubnetID(bits: subnet))")), ("subnet-ipv4-cidr-block", .text(cidr)),
            ("vpc-id", .text("\(NetworkID(bits: subnet))")), ("vpc-ipv4-cidr-block", .text(cidr)), ("vpc-ipv4-cidr-blocks", .text(cidr)),
        ])
    }

    private var dynamic: MetadataTree { folder([("instance-identity", folder([("document", .bytes(identityDocument))]))]) }

    /// EC2's instance identity document, unsigned. Keys sorted, so that it is always the same.
    private var identityDocument: Data {
        struct Document: Encodable {
            var accountId, architecture, availabilityZone, imageId, instanceId, instanceType, pendingTime, privateIp, region,
                version: String
        }
        let document = Document(
            accountId: "\(intent.account)", architecture: "x86_64", availabilityZone: zone, imageId: "\(intent.image.id)",
            instanceId: "\(intent.instance)", instanceType: intent.offering,
            pendingTime: Instant(seconds: pending.microseconds / 1_000_000).description,
            privateIp: intent.address, region: region, version: "2017-09-30")
        return (try? WireJSON.encode(document)) ?? Data("{}".utf8)
    }

    private func folder(_ members: [(String, MetadataTree)]) -> MetadataTree {
        .folder(members.map { (name: $0.0, label: nil, tree: $0.1) })
    }
}
