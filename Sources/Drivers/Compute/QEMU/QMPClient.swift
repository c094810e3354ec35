import Dispatch
import Foundation
import Glibc
import Primitives
import Synchronization

/// Something QEMU tells unasked.
struct QMPEvent: Sendable {
    var name: String
    var data: JSONValue
    var at: Instant
}

/// QEMU's machine protocol over a Unix socket (docs/interop/qmp-spec in QEMU's source).
///
/// Commands may overlap; each has a deadline. Events and the end of the connection go to the handlers given at the start, in
/// order, on the client's own queue.
final class QMPClient: Sendable {
    private struct State {
        var nextID: Int64 = 1
        var waiting: [Int64: CheckedContinuation<Result<JSONValue, Refusal>, Never>] = [:]
        var unread: [UInt8] = []
        var closed = false
    }

    /// The process that listens on the socket, as the kernel knows it.
    let peer: Int32
    private let descriptor: Int32
    // Dispatch sources may be used from any thread; the protocol is not marked so.
    nonisolated(unsafe) private let source: any DispatchSourceRead
    private let queue: DispatchQueue
    private let state = Mutex(State())
    private let onEvent: @Sendable (QMPEvent) -> Void
    private let onClose: @Sendable () -> Void

    /// Connects and negotiates. Waits for a socket that is not there yet, until the deadline.
    static func connect(
        _ path: String, deadline: Duration, onEvent: @escaping @Sendable (QMPEvent) -> Void, onClose: @escaping @Sendable () -> Void
    ) async throws(Refusal) -> QMPClient {
        let clock = ContinuousClock()
        let end = clock.now + deadline
        while true {
            switch UnixSocket.connect(path) {
            case .success(let descriptor):
                let client = QMPClient(descriptor, path: path, onEvent: onEvent, onClose: onClose)
                do throws(Refusal) {
                    try await client.execute("qmp_capabilities", deadline: max(.milliseconds(100), end - clock.now))
                } catch {
                    client.close()
                    throw error
                }
                return client
            case .failure(let number):
                guard [ENOENT, ECONNREFUSED, EAGAIN].contains(number), clock.now < end, !Task.isCancelled else {
                    throw Refusal(
                        "compute.monitor", .unavailable,
                        "QEMU's monitor at \(path) cannot be reached: \(String(cString: strerror(number)))",
                        facts: ["path": .text(path)])
                }
                try? await Task.sleep(for: .milliseconds(2))
            }
        }
    }

    private init(
        _ descriptor: Int32, path: String, onEvent: @escaping @Sendable (QMPEvent) -> Void, onClose: @escaping @Sendable () -> Void
    ) {
        self.descriptor = descriptor
        self.onEvent = onEvent
        self.onClose = onClose
        peer = UnixSocket.peer(descriptor)
        queue = DispatchQueue(label: "bourse.drivers.qmp")
        source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        source.setEventHandler { [weak self] in self?.readAvailable() }
        source.setCancelHandler { Glibc.close(descriptor) }
        source.resume()
    }

    deinit { source.cancel() }

    /// Sends a command and waits for its answer.
    @discardableResult
    func execute(_ command: String, _ arguments: [String: JSONValue] = [:], deadline: Duration = .seconds(5)) async throws(Refusal)
        -> JSONValue
    {
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<JSONValue, Refusal>, Never>) in
            start(command, arguments, deadline, continuation)
        }
        return try result.get()
    }

    private func start(
        _ command: String, _ arguments: [String: JSONValue], _ deadline: Duration,
        _ continuation: CheckedContinuation<Result<JSONValue, Refusal>, Never>
    ) {
        let id = state.withLock { state -> Int64? in
            guard !state.closed else { return nil }
            let id = state.nextID
            state.nextID += 1
            state.waiting[id] = continuation
            return id
        }
        guard let id else {
            continuation.resume(returning: .failure(Self.gone(command)))
            return
        }
        queue.asyncAfter(deadline: .now() + deadline.timeInterval) { [weak self] in
            self?.finish(
                id, .failure(Refusal("compute.monitor", .unavailable, "QEMU did not answer \(command) within \(deadline)")))
        }
        var message: [String: JSONValue] = ["execute": .text(command), "id": .integer(id)]
        if !arguments.isEmpty { message["arguments"] = .object(arguments) }
        guard let bytes = try? JSONEncoder().encode(JSONValue.object(message)), UnixSocket.send(descriptor, bytes + [10]) else {
            finish(id, .failure(Self.gone(command)))
            return
        }
    }

    private static func gone(_ command: String) -> Refusal {
        Refusal("compute.monitor", .unavailable, "QEMU's monitor was closed before it answered \(command)")
    }

    private func finish(_ id: Int64, _ result: Result<JSONValue, Refusal>) {
        let continuation = state.withLock { $0.waiting.removeValue(forKey: id) }
        continuation?.resume(returning: result)
    }

    /// Stops listening; the machine is not touched. `onClose` is not called.
    func close() {
        let waiting = state.withLock { state in
            state.closed = true
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        source.cancel()
        for continuation in waiting { continuation.resume(returning: .failure(Self.gone("a command"))) }
    }

    /// Reads until there is nothing more: Dispatch tells once of data and of the end behind it, and then never again.
    private func readAvailable() {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while state.withLock({ !$0.closed }) {
            let count = recv(descriptor, &chunk, chunk.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { return }
            guard count > 0 else {
                close()
                onClose()
                return
            }
            for line in takeLines(chunk[..<count]) { handle(line) }
        }
    }

    private func takeLines(_ bytes: ArraySlice<UInt8>) -> [[UInt8]] {
        state.withLock { state in
            state.unread.append(contentsOf: bytes)
            guard let last = state.unread.lastIndex(of: 10) else { return [] }
            let lines = state.unread[..<last].split(separator: 10).map { Array($0) }
            state.unread.removeSubrange(...last)
            return lines
        }
    }

    private func handle(_ line: [UInt8]) {
        guard let message = try? JSONDecoder().decode(JSONValue.self, from: Data(line)) else { return }
        if let name = message["event"]?.text {
            onEvent(QMPEvent(name: name, data: message["data"] ?? .null, at: Self.time(message["timestamp"])))
        } else if let id = message["id"]?.integer {
            if let error = message["error"] {
                let said = error["desc"]?.text ?? "unknown error"
                finish(id, .failure(Refusal("compute.monitor", .unavailable, "QEMU refused: \(said)", facts: ["error": .text(said)])))
            } else {
                finish(id, .success(message["return"] ?? .null))
            }
        }
    }

    private static func time(_ stamp: JSONValue?) -> Instant {
        guard let seconds = stamp?["seconds"]?.integer, let microseconds = stamp?["microseconds"]?.integer, seconds > 0 else {
            return HostClock.now()
        }
        return Instant(microseconds: seconds * 1_000_000 + microseconds)
    }
}

extension Duration {
    /// Seconds, for Dispatch.
    var timeInterval: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
