import Primitives

/// The packet filter in a tenant's router, as text for nftables: all that its guests reach of it is DHCP, DNS and the metadata service, and
/// the world if they may.
struct RouterRules {
    var network: TenantNetwork
    var metadataPort: Int

    private static let table = "bourse"

    var replacement: String {
        """
        add table ip \(Self.table)
        delete table ip \(Self.table)
        table ip \(Self.table) {
            chain metadata {
                type nat hook prerouting priority dstnat; policy accept;
                iifname "\(TenantRecord.inside)" ip daddr 169.254.169.254 tcp dport 80 redirect to :\(metadataPort)
            }
            chain outbound {
                type nat hook postrouting priority srcnat; policy accept;
                oifname "\(TenantRecord.world)" masquerade
            }
            chain toRouter {
                type filter hook input priority filter; policy drop;
                iif lo accept
                ct state established,related accept
                iifname "\(TenantRecord.inside)" udp dport { 53, 67 } accept
                iifname "\(TenantRecord.inside)" tcp dport 53 accept
                iifname "\(TenantRecord.inside)" icmp type echo-request accept
                iifname "\(TenantRecord.inside)" ct original ip daddr 169.254.169.254 tcp dport \(metadataPort) accept
            }
            chain onward {
                type filter hook forward priority filter; policy drop;
                \(network.hasInternet ? Self.passage : "")
            }
        }

        """
    }

    private static let passage = """
        ct state established,related accept
                iifname "\(TenantRecord.inside)" oifname "\(TenantRecord.world)" ip daddr != 169.254.0.0/16 accept
        """
}
