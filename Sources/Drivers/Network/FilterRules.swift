import Primitives

/// The packet filter of the networks of one host, as text for nftables. Two tables, both named after the host's own bridge: nothing else is
/// touched.
///
/// Bridge family: what comes out of a guest has that guest's own addresses, or goes nowhere; guests on the host's own network reach
/// those of their owner only; the host has no part in a tenant's network; what belongs to a gateway does not cross a tunnel.
/// IP family: guests of the host's own network reach the metadata service at 169.254.169.254, the world through the host's address,
/// and of the host itself only DHCP and DNS. Tenants' routers reach the world and the host's name server.
package struct FilterRules: Sendable {
    package var bridge: String
    package var network: IPv4Prefix
    package var metadataPort: Int
    package var tunnel: TunnelEnd?

    package init(bridge: String, network: IPv4Prefix, metadataPort: Int, tunnel: TunnelEnd? = nil) {
        self.bridge = bridge
        self.network = network
        self.metadataPort = metadataPort
        self.tunnel = tunnel
    }

    /// What a device is for is told by its group, which it is in before it joins a bridge: a guest's device that is in no set is mute.
    /// (`meta ibrname` would say the same, but not every kernel has it.)
    package enum Group: UInt32, CaseIterable, Sendable {
        /// Of guests on the host's own network, and on tenants'.
        case guest, tenantGuest
        /// VXLAN devices, ports of tenants' bridges to their routers, those bridges, and the routers' ways out.
        case tunnel, routerPort, tenantBridge, uplink
    }

    package func group(_ group: Group) -> UInt32 {
        // FNV-1a of the bridge's name, in the upper half so as to keep clear of groups people number by hand.
        let hash = bridge.utf8.reduce(2_166_136_261 as UInt32) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return ((hash | 0x4000_0000) & 0x7fff_ffff) ^ group.rawValue
    }

    /// Replaces both tables, whatever they held, in one transaction.
    func replacement(_ ports: [NetworkPort], _ tenants: [TenantRecord], underlay: IPv4Prefix?) -> String {
        """
        \(disappearance)
        \(guestTable)
        \(hostTable)
        \(ports.map(addition).joined())
        \(tenants.map(addition).joined())
        \(underlay.map { "add element ip \(bridge) underlay { \($0.network)/\($0.length) }" } ?? "")

        """
    }

    // MARK: - Elements

    func addition(_ port: NetworkPort) -> String { elements("add", port) }
    func removal(_ port: NetworkPort) -> String { elements("delete", port) }

    private func elements(_ verb: String, _ port: NetworkPort) -> String {
        let device = "\"\(port.deviceName)\""
        var lines = [
            "links { \(device) . \(port.macAddress) }", "guests { \(device) . \(port.macAddress) . \(port.address) }",
        ]
        if port.network == nil, let owner = port.owner {
            let (high, low) = ("0x\(owner.prefix(8))", "0x\(owner.suffix(8))")
            lines += [
                "ownersHigh { \(device) : \(high) }", "ownersLow { \(device) : \(low) }", "membersHigh { \(device) . \(high) }",
                "membersLow { \(device) . \(low) }",
            ]
        }
        return lines.map { "\(verb) element bridge \(bridge) \($0)\n" }.joined()
    }

    private func addition(_ tenant: TenantRecord) -> String {
        let peers = tenant.network.peers.map { "add element ip \(bridge) peers { \($0) }\n" }.joined()
        return """
            add element bridge \(bridge) gatewayLinks { "\(tenant.tunnel)" . \(tenant.gatewayMAC) }
            add element bridge \(bridge) gateways { "\(tenant.tunnel)" . \(tenant.network.gateway) }
            add element ip \(bridge) routers { \(tenant.routerEnd) }
            \(peers)
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

    // MARK: - Tables

    private var guestTable: String {
        let (guest, tenantGuest) = (group(.guest), group(.tenantGuest))
        return """
            table bridge \(bridge) {
                set links { typeof iifname . ether saddr; }
                set guests { typeof iifname . ether saddr . ip saddr; }
                map ownersHigh { typeof iifname : meta mark; }
                map ownersLow { typeof iifname : meta mark; }
                set membersHigh { typeof oifname . meta mark; }
                set membersLow { typeof oifname . meta mark; }
                set gatewayLinks { typeof iifname . ether saddr; }
                set gateways { typeof iifname . arp saddr ip; }
                chain fromGuests {
                    type filter hook prerouting priority dstnat; policy accept;
                    iifgroup != { \(guest), \(tenantGuest) } accept
                    iifname . ether saddr != @links drop
                    iifgroup \(guest) ether daddr \(Device.gatewayMAC(network.address)) ip daddr \(network.network)/\(network.length) ip daddr != \(network.address) drop
                    arp operation request iifname . arp saddr ether @links arp saddr ip 0.0.0.0 accept
                    iifname . arp saddr ether . arp saddr ip @guests accept
                    ether type 0x8035 accept
                    udp sport 67 drop
                    ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
                    iifname . ether saddr . ip saddr @guests accept
                    drop
                }
                chain between {
                    type filter hook forward priority filter; policy accept;
                    iifgroup \(guest) oifgroup \(guest) jump amongOwners
                    iifgroup \(group(.tunnel)) jump fromTunnel
                    oifgroup \(group(.tunnel)) jump intoTunnel
                }
            \(amongOwners)
            \(atTunnel("fromTunnel", "iifname"))
            \(atTunnel("intoTunnel", "oifname"))
                chain toHost {
                    type filter hook input priority filter; policy accept;
                    iifgroup { \(tenantGuest), \(group(.tunnel)), \(group(.routerPort)) } drop
                }
                chain fromHost {
                    type filter hook output priority filter; policy accept;
                    oifgroup { \(tenantGuest), \(group(.tunnel)), \(group(.routerPort)) } drop
                }
            }
            """
    }

    /// An owner has 64 bits and a mark 32: both halves are compared, one after the other. A device without an owner is in no map and leaves
    /// the mark at zero, and no owner is all zero.
    private var amongOwners: String {
        """
                chain amongOwners {
                    meta mark set 0
                    meta mark set iifname map @ownersHigh
                    oifname . meta mark != @membersHigh drop
                    meta mark set 0
                    meta mark set iifname map @ownersLow
                    oifname . meta mark != @membersLow drop
                }
        """
    }

    /// A gateway is on every host with the same addresses: nothing to, from or about it passes a tunnel, nor does DHCP.
    private func atTunnel(_ chain: String, _ side: String) -> String {
        """
                chain \(chain) {
                    \(side) . ether saddr @gatewayLinks drop
                    \(side) . ether daddr @gatewayLinks drop
                    \(side) . arp saddr ip @gateways drop
                    \(side) . arp daddr ip @gateways drop
                    udp dport { 67, 68 } drop
                }
        """
    }

    private var hostTable: String {
        let uplink = group(.uplink)
        return """
            table ip \(bridge) {
                set routers { type ipv4_addr; }
                set peers { type ipv4_addr; }
                set underlay { type ipv4_addr; flags interval; }
                chain bridged {
                    type filter hook prerouting priority -450; policy accept;
                    iifgroup \(group(.tenantBridge)) notrack
                }
                chain metadata {
                    type nat hook prerouting priority dstnat; policy accept;
                    iifname "\(bridge)" ip daddr 169.254.169.254 tcp dport 80 redirect to :\(metadataPort)
                    iifgroup \(uplink) ip daddr 169.254.0.0/16 meta l4proto { tcp, udp } th dport 53 dnat to \(network.address)
                }
                chain outbound {
                    type nat hook postrouting priority srcnat; policy accept;
                    ip saddr \(network.network)/\(network.length) ip daddr != \(network.network)/\(network.length) oifname != "\(bridge)" masquerade
                    ip saddr @routers oifgroup != \(uplink) masquerade
                }
                chain toHost {
                    type filter hook input priority filter; policy accept;
                    iifgroup \(uplink) jump fromRouters
                    \(strangers)
                    iifname != "\(bridge)" accept
                    ct state established,related accept
                    udp dport { 53, 67 } accept
                    tcp dport 53 accept
                    ct original ip daddr 169.254.169.254 tcp dport \(metadataPort) accept
                    drop
                }
                chain fromRouters {
                    ct state established,related accept
                    ct status dnat ip daddr \(network.address) meta l4proto { tcp, udp } th dport 53 accept
                    drop
                }
                chain onward {
                    type filter hook forward priority filter; policy accept;
                    iifname "\(bridge)" ip daddr 169.254.0.0/16 drop
                    iifname "\(bridge)" udp dport 4789 drop
                    oifgroup \(uplink) ct state established,related accept
                    oifgroup \(uplink) drop
                    iifgroup \(uplink) jump outOfRouters
                }
                chain outOfRouters {
                    oifname "\(bridge)" drop
                    ip daddr @underlay drop
                    ip daddr @peers drop
                    udp dport 4789 drop
                }
            }
            """
    }

    /// Tunnels take packets from hosts that have a network in common with this one, and from nobody else.
    private var strangers: String {
        tunnel.map { "ip daddr \($0.address) udp dport 4789 ip saddr != @peers drop" } ?? ""
    }
}
