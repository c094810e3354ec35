import CloudClient
import Foundation
import Testing

/// A stream comes in pieces of any size, and means the same.
@Suite struct ServerEventTests {
    private static let stream = """
        : a comment
        id: e-1
        event: snapshot
        data: {"a":1}

        data: first
        data:second
        data

        event: nothing without data

        id
        retry: 5
        unknown: x
        data:  two spaces – ü


        """

    private static let expected = [
        ["e-1", "snapshot", #"{"a":1}"#], ["e-1", "message", "first\nsecond\n"], ["", "message", " two spaces – ü"],
    ]

    @Test(arguments: ["\n", "\r", "\r\n"], 1...7) func piecesAndLineEndsDoNotMatter(end: String, size: Int) {
        let bytes = Array(Self.stream.replacingOccurrences(of: "\n", with: end).utf8)
        var parser = ServerEventParser()
        var events: [ServerEvent] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            events += parser.take(bytes[start..<min(start + size, bytes.count)])
        }
        #expect(events.map { [$0.id, $0.name, String(decoding: $0.data, as: UTF8.self)] } == Self.expected)
    }

    @Test func whatIsNotCompleteIsNotToldOf() {
        var parser = ServerEventParser()
        #expect(parser.take(Array("data: x\n".utf8)).isEmpty)
        #expect(parser.take(Array("\n".utf8)).map(\.data) == [Data("x".utf8)])
    }
}
