/// The places where a launch can be cut off, in the order it passes them.
enum FaultPoints {
    static let ofLaunch: [(program: String, point: String)] = [
        ("manage", "manage.launch.planned"), ("manage", "manage.launch.accepted"), ("manage", "manage.launch.ordered"),
        ("exchange", "exchange.order.applied"), ("exchange", "exchange.placeOrder.written"), ("exchange", "exchange.placeOrder.committed"),
        ("manage", "manage.launch.bought"), ("exchange", "exchange.certificate.written"), ("exchange", "exchange.certificate.committed"),
        ("manage", "manage.launch.certified"), ("connect", "connect.launch.received"), ("connect", "connect.launch.committed"),
        ("manage", "manage.launch.created"), ("node", "node.launch.intent"), ("node", "node.launch.image"),
        ("node", "node.launch.prepared"),
        ("node", "node.launch.executed"), ("node", "node.launch.permitted"), ("node", "node.launch.metered"),
    ]
}
