import Foundation
import Logging

/// Hears of changes committed by other processes (LISTEN/NOTIFY) and passes them on to the signal.
final class PostgresListener: Sendable {
    static let channel = "bourse_changes"

    private let url: String
    private let changes: ChangeSignal
    private let logger: Logger
    /// Written to, and so woken by, `stop`.
    private let stopPipe: (read: Int32, write: Int32)

    init(url: String, changes: ChangeSignal, logger: Logger) throws {
        self.url = url
        self.changes = changes
        self.logger = logger
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw StoreError.other(code: "\(errno)", "no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        stopPipe = (ends[0], ends[1])
    }

    deinit {
        close(stopPipe.read)
        close(stopPipe.write)
    }

    func start() {
        let thread = Thread { [self] in serve() }
        thread.name = "postgres-listen"
        thread.start()
    }

    func stop() { _ = write(stopPipe.write, "x", 1) }

    /// Listens until stopped; connects anew after a pause when the connection is lost.
    private func serve() {
        while true {
            do {
                let session = try PostgresSession(url: url)
                try listen(on: session)
                return
            } catch {
                logger.warning("does not hear of other processes' changes", metadata: ["error": "\(error)"])
            }
            if waitForInput(on: nil, milliseconds: 500) == .stop { return }
        }
    }

    /// Returns when stopped, throws when the connection is lost.
    private func listen(on session: PostgresSession) throws {
        try session.run("LISTEN \(Self.channel)")
        // What was committed while nobody listened.
        changes.advance(to: try SQLDialect.postgres.revisionOnOpening { try session.run($0).rows })
        while true {
            for notification in try session.notifications() {
                if let revision = Int64(notification.payload) { changes.advance(to: revision) }
            }
            if waitForInput(on: session.socket, milliseconds: 60_000) == .stop { return }
        }
    }

    private enum Wakening { case input, stop }

    private func waitForInput(on socket: Int32?, milliseconds: Int32) -> Wakening {
        var watched = [pollfd(fd: stopPipe.read, events: Int16(POLLIN), revents: 0)]
        if let socket { watched.append(pollfd(fd: socket, events: Int16(POLLIN), revents: 0)) }
        _ = poll(&watched, nfds_t(watched.count), milliseconds)
        return watched[0].revents != 0 ? .stop : .input
    }
}
