package import Primitives

/// What an exchange needs to know to start.
package struct ExchangeConfiguration: Sendable {
    /// The trust domain: a DNS label of at most 32 characters, e.g. `demo`.
    package var name: String
    /// Keys and certificates of the authority and of the exchange itself.
    package var dataDirectory: String
    package var databaseURL: String
    package var operatorToken: String?
    package var host = "127.0.0.1"
    /// A name or address clients use beside `host`; goes into the certificate.
    package var publicName: String?
    package var publicPort = 7400
    package var peerPort = 7401
    /// Address programs dial with their identity, `host:port`; made from host and peer port when nil.
    package var advertisedPeerAddress: String?
    /// Names this process among those that serve one market. The same after a restart, so that it need not wait for its own lease.
    package var instance: String?
    /// How long the market stays with a process that is silent, until another takes over.
    package var leaseSpan: Span = .seconds(15)
    package var streams = StreamLimits()
    package var fairness = FairnessLimits()

    package init(name: String, dataDirectory: String, databaseURL: String) {
        self.name = name
        self.dataDirectory = dataDirectory
        self.databaseURL = databaseURL
    }
}
