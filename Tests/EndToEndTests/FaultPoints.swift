/// A place where a launch can be cut off.
struct LaunchFault {
    var program: String
    var point: String
    /// True when a launch passes it only if it has to buy capacity.
    var needsPurchase: Bool

    /// In the order a launch passes them.
    static let all = [
        LaunchFault("manage", "manage.launch.accepted", needsPurchase: true),
        LaunchFault("manage", "manage.launch.ordered", needsPurchase: true),
        LaunchFault("exchange", "exchange.order.applied", needsPurchase: true),
        LaunchFault("exchange", "exchange.order.written", needsPurchase: true),
        LaunchFault("exchange", "exchange.order.committed", needsPurchase: true),
        LaunchFault("manage", "manage.launch.bought", needsPurchase: true),
        LaunchFault("exchange", "exchange.certificate.written", needsPurchase: true),
        LaunchFault("exchange", "exchange.certificate.committed", needsPurchase: true),
        LaunchFault("manage", "manage.launch.certified", needsPurchase: true),
        LaunchFault("connect", "connect.launch.received"), LaunchFault("connect", "connect.launch.committed"),
        LaunchFault("manage", "manage.launch.created"),
        LaunchFault("node", "node.launch.intent"), LaunchFault("node", "node.launch.image"), LaunchFault("node", "node.launch.prepared"),
        LaunchFault("node", "node.launch.executed"), LaunchFault("node", "node.launch.permitted"),
        LaunchFault("node", "node.launch.metered"),
    ]

    init(_ program: String, _ point: String, needsPurchase: Bool = false) {
        self.program = program
        self.point = point
        self.needsPurchase = needsPurchase
    }
}
