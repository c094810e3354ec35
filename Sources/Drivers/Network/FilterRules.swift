import Primitives

/// The packet filter of one host network, as text for nftables. Two tables, both named after the bridge: nothing else is touched.
///
/// Bridge family: what comes out of a guest has that guest's own addresses, or goes nowhere. IP family: guests reach the metadata
/// service at 169.254.169.254, the world through the host's address, and of the host itself only DHCP and DNS.
package struct FilterRules: Sendable {
    package var bridge: String
    package var network: IPv4Prefix
    package var metadataPort: Int

    package init(bridge: String, network: IPv4Prefix, metadataPort: Int) {
        self.bridge = bridge
        self.network = network
        self.metadataPort = metadataPort
    }

    /// Guests' devices are in a device group of their own, which they are put in before they join the bridge: a device in the group
    /// that is in no set is mute. (`meta ibrname` would say the same, but not every kernel has it.)
    package var deviceGroup: UInt32 {
        // FNV-1a of the bridge's name, in the upper half so as to keep clear of groups people number by hand.
        (bridge.utf8.reduce(2_166_136_261 as UInt32) { ($0 ^ UInt32($1)) &* 16_777_619 } | 0x4000_0000) & 0x7fff_ffff
    }

    /// Replaces both tables, whatever they held, in one transaction.
    func replacement(_ ports: [NetworkPort]) -> String {
        """
        add table bridge \(bridge)
        delete table bridge \(bridge)
        add table ip \(bridge)
        delete table ip \(bridge)
        \(guestTable)
        \(hostTable)
        \(ports.map(addition).joined())
        """
    }

    func addition(_ port: NetworkPort) -> String { elements("add", port) }
    func removal(_ port: NetworkPort) -> String { elements("delete", port) }

    private func elements(_ verb: String, _ port: NetworkPort) -> String {
        """
        \(verb) element bridge \(bridge) links { "\(port.deviceName)" . \(port.macAddress) }
        \(verb) element bridge \(bridge) guests { "\(port.deviceName)" . \(port.macAddress) . \(port.address) }

        """
    }

    var disappearance: String {
        """
        add table bridge \(bridge)
        delete table bridge \(bridge)
        add table ip \(bridge)
        delete table ip \(bridge)

        """
    }

    private var guestTable: String {
        """
        table bridge \(bridge) {
            set links { typeof iifname . ether saddr; }
            set guests { typeof iifname . ether saddr . ip saddr; }
            chain fromGuests {
                type filter hook prerouting priority dstnat; policy accept;
                iifgroup != \(deviceGroup) accept
                iifname . ether saddr != @links drop
                arp operation request iifname . arp saddr ether @links arp saddr ip 0.0.0.0 accept
                iifname . arp saddr ether . arp saddr ip @guests accept
                udp sport 67 drop
                ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
                iifname . ether saddr . ip saddr @guests accept
                drop
            }
        }
        """
    }

    private var hostTable: String {
        """
        table ip \(bridge) {
            chain metadata {
                type nat hook prerouting priority dstnat; policy accept;
                iifname "\(bridge)" ip daddr 169.254.169.254 tcp dport 80 redirect to :\(metadataPort)
            }
            chain outbound {
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr \(network.network)/\(network.length) ip daddr != \(network.network)/\(network.length) oifname != "\(bridge)" masquerade
            }
            chain toHost {
                type filter hook input priority filter; policy accept;
                iifname != "\(bridge)" accept
                ct state established,related accept
                udp dport { 53, 67 } accept
                tcp dport 53 accept
                ct original ip daddr 169.254.169.254 tcp dport \(metadataPort) accept
                drop
            }
            chain onward {
                type filter hook forward priority filter; policy accept;
                iifname "\(bridge)" ip daddr 169.254.0.0/16 drop
            }
        }
        """
    }
}
