import CloudAPI
import Hummingbird
import NIOCore
import Primitives
import ServiceKit
import ServiceLifecycle
import Store

extension ExchangeCore {
    func stream(_ call: Call<Empty>, after: String?, from address: String) async throws -> ResponseBody {
        let series = try call.id("series", as: SeriesID.self)
        try await database.read { try $0.checkSeries(series) }
        let caller = call.principal == .anonymous ? "anonymous from \(address)" : call.principal.name
        let seat = try streams.seats.take(for: caller)
        let streams = self.streams
        return ResponseBody { writer in
            let reader = StreamReader(limit: streams.limits.pendingBytes)
            await streams.join(reader, series, after: after)
            do {
                try await reader.send(to: writer, heartbeat: streams.limits.heartbeat)
            } catch {
                await streams.leave(reader, series)
                throw error
            }
            await streams.leave(reader, series)
            withExtendedLifetime(seat) {}
            try await writer.finish(nil)
        }
    }
}

/// The reader did not keep up; its connection is closed.
struct ReaderTooSlow: Error {}

extension StreamReader {
    /// Writes what comes until the reader ends. Throws when the other side is gone or too slow.
    fileprivate func send(to writer: any ResponseBodyWriter, heartbeat: Duration) async throws {
        let output = StreamOutput(writer: writer)
        try await withGracefulShutdownHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await output.write(from: self, heartbeat: heartbeat) }
                group.addTask {
                    await self.untilEnd()
                    // Who is dropped is not waited for; others get what is left.
                    if !self.isDropped { try await Task.sleep(for: .seconds(2)) }
                    throw ReaderTooSlow()
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        } onGracefulShutdown: {
            self.end()
        }
    }
}

/// Carries the writer of a response into one child task of the same request, which alone uses it and ends before the response does:
/// so nothing is shared.
private struct StreamOutput: @unchecked Sendable {
    let writer: any ResponseBodyWriter

    func write(from reader: StreamReader, heartbeat: Duration) async throws {
        var writer = self.writer
        try await writer.write(ByteBuffer(string: "retry: 1000\n\n"))
        while let events = await reader.next(within: heartbeat) {
            try Task.checkCancellation()
            if events.isEmpty {
                try await writer.write(ByteBuffer(string: ": nothing new\n\n"))
            } else {
                for event in events { try await writer.write(event) }
            }
        }
        if reader.isDropped { throw ReaderTooSlow() }
    }
}
