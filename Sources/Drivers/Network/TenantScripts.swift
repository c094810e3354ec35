import Primitives

/// What makes and removes the devices of a tenant's network, as text for sh, run in the guests' namespace. Every line may be repeated.
///
/// The bridge is where QEMU opens the guests' devices, and has no address. On it are they, the tunnel, and a port to the router: a network
/// namespace of its own, in which the gateway's address is, and from which the way out leads back to the host.
struct TenantScripts {
    var record: TenantRecord
    /// The router's namespace.
    var router: String
    var rules: FilterRules

    private var network: TenantNetwork { record.network }

    /// A device of one of our names that is not in its group is somebody else's; unless it is gone when it is looked at again, as
    /// those of a namespace that was just deleted are a moment later.
    private var ownership: String {
        """
        has() { ip link show dev "$1" >/dev/null 2>&1; }
        owns() { ip -o link show dev "$1" 2>/dev/null | grep -q " group $2 "; }
        for pair in \(record.bridge)=\(rules.group(.tenantBridge)) \(record.tunnel)=\(rules.group(.tunnel)) \
            \(record.routerPort)=\(rules.group(.routerPort)) \(record.uplink)=\(rules.group(.uplink)); do
            has ${pair%=*} || continue
            owns ${pair%=*} ${pair#*=} || ! has ${pair%=*} || { echo "foreign device ${pair%=*}" >&2; exit 3; }
        done
        """
    }

    /// The router's namespace, without any device yet but the loopback.
    var makeRouter: String {
        """
        set -e
        router='\(router)'
        \(ownership)
        if ! [ -e "/run/netns/$router" ]; then
            for device in \(record.routerPort) \(record.uplink); do if has $device; then ip link delete dev $device || ! has $device; fi; done
            ip netns add "$router"
        fi
        ip -n "$router" link set lo up
        nsenter --net="/run/netns/$router" sh -c '
            echo 1 >/proc/sys/net/ipv4/ip_forward
            for knob in /proc/sys/net/ipv6/conf/*/disable_ipv6; do if [ -e $knob ]; then echo 1 >$knob; fi; done'

        """
    }

    /// What `makeDevices` says when what is in the router is another device now.
    static let newRouterPort = "new router port"

    func makeDevices(_ end: TunnelEnd) -> String {
        let vxlan = "vxlan id \(network.vni) local \(end.address) dstport 4789"
        return """
            set -e
            router='\(router)'
            has() { ip link show dev "$1" >/dev/null 2>&1; }
            has \(record.bridge) || ip link add name \(record.bridge) group \(rules.group(.tenantBridge)) type bridge stp_state 0 forward_delay 0 mcast_snooping 0
            if has \(record.tunnel) && ! ip -d -o link show dev \(record.tunnel) | grep -q "vxlan id \(network.vni) local \(end.address) .*dstport 4789"; then
                ip link delete dev \(record.tunnel)
            fi
            has \(record.tunnel) || ip link add name \(record.tunnel) group \(rules.group(.tunnel)) type \(vxlan)
            has \(record.routerPort) || echo \(Self.newRouterPort)
            has \(record.routerPort) || ip link add name \(record.routerPort) group \(rules.group(.routerPort)) type veth \
                peer name \(TenantRecord.inside) netns "$router" address \(record.gatewayMAC)
            has \(record.uplink) || ip link add name \(record.uplink) group \(rules.group(.uplink)) type veth \
                peer name \(TenantRecord.world) netns "$router"
            ip -batch - <<'END'
            \(hostSteps)
            END
            ip -n "$router" -batch - <<'END'
            \(routerSteps)
            END
            echo 1 >/proc/sys/net/ipv4/conf/\(record.uplink)/forwarding
            bridge fdb replace \(record.gatewayMAC) dev \(record.routerPort) master static
            \(peers)

            """
    }

    private var hostSteps: String {
        let marked = [record.bridge, record.tunnel, record.routerPort, record.uplink].flatMap {
            ["link set dev \($0) alias \"bourse network \(network.network)\"", "link set dev \($0) addrgenmode none"]
        }
        let sized = [record.bridge, record.tunnel, record.routerPort].map { "link set dev \($0) mtu \(network.mtu)" }
        let joined = [record.tunnel, record.routerPort].map { "link set dev \($0) master \(record.bridge) up" }
        let steps =
            marked + sized + ["link set dev \(record.bridge) up"] + joined + [
                "address replace \(record.hostEnd)/31 dev \(record.uplink)", "link set dev \(record.uplink) up",
            ]
        return steps.joined(separator: "\n")
    }

    private var routerSteps: String {
        [
            "link set dev \(TenantRecord.inside) mtu \(network.mtu)",
            "address replace \(network.gatewayPrefix) dev \(TenantRecord.inside)", "link set dev \(TenantRecord.inside) up",
            "address replace \(record.routerEnd)/31 dev \(TenantRecord.world)", "link set dev \(TenantRecord.world) up",
            "route replace default via \(record.hostEnd)",
        ].joined(separator: "\n")
    }

    /// What has no known place goes to every peer; where guests are is learned from what they send. What was learned of a host that is no peer
    /// any more is forgotten with it.
    private var peers: String {
        let list = network.peers.map(\.description).joined(separator: " ")
        return """
            table() { bridge fdb show dev \(record.tunnel); }
            wanted=' \(list) '
            known=" $(table | sed -n 's/^00:00:00:00:00:00 dst \\([0-9.]*\\).*/\\1/p' | tr '\\n' ' ') "
            for peer in $known; do
                case "$wanted" in *" $peer "*) continue ;; esac
                for mac in $(table | grep -F " dst $peer " | cut -d ' ' -f 1); do bridge fdb delete $mac dev \(record.tunnel) dst $peer || true; done
            done
            for peer in $wanted; do
                case "$known" in *" $peer "*) continue ;; esac
                bridge fdb append 00:00:00:00:00:00 dev \(record.tunnel) dst $peer
            done
            """
    }

    /// Devices first: a socket still open in the router's namespace would keep them.
    static func remove(_ network: NetworkID, router: String, rules: FilterRules) -> String {
        let devices: [(String, FilterRules.Group)] = [
            (TenantRecord.routerPort(network), .routerPort), (TenantRecord.uplink(network), .uplink),
            (TenantRecord.tunnel(network), .tunnel), (TenantRecord.bridge(network), .tenantBridge),
        ]
        let lines = devices.map { device, group in
            "if ip -o link show dev \(device) 2>/dev/null | grep -q ' group \(rules.group(group)) '; then ip link delete dev \(device); fi"
        }
        return """
            set -e
            \(lines.joined(separator: "\n"))
            if [ -e '/run/netns/\(router)' ]; then ip netns delete '\(router)'; fi

            """
    }
}
