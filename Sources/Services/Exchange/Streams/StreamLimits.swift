/// What streams of market data may cost.
package struct StreamLimits: Sendable {
    /// Streams of one caller: a participant, a program, or an address without a name.
    package var perCaller = 20
    package var inAll = 500
    /// A reader for whom more bytes of changes wait is dropped.
    package var pendingBytes = 256 << 10
    /// Events kept for readers that come back, by number and by size.
    package var keptEvents = 2_000
    package var keptBytes = 1 << 20
    /// A reader for whom there is nothing else gets a comment this often.
    package var heartbeat: Duration = .seconds(15)
    /// How long a series that nobody reads any more is followed, for those who come back.
    package var linger: Duration = .seconds(60)
    /// Changes that come closer together than this are one event.
    package var pace: Duration = .milliseconds(10)

    package init() {}
}
