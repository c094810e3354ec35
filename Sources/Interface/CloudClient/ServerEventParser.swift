package import Foundation

/// One server-sent event.
package struct ServerEvent: Hashable, Sendable {
    package var id: String
    /// `message` when the stream does not say.
    package var name: String
    package var data: Data
}

/// Takes a stream of server-sent events apart, as it comes in (WHATWG HTML, 9.2.6). Comments and `retry` are left out.
package struct ServerEventParser {
    private var line: [UInt8] = []
    private var endedWithReturn = false
    private var lastID = ""
    private var name = ""
    private var data: [UInt8]?

    package init() {}

    /// The events that are complete with these bytes.
    package mutating func take(_ bytes: some Sequence<UInt8>) -> [ServerEvent] {
        var events: [ServerEvent] = []
        for byte in bytes {
            // A line ends with a return, a newline, or both.
            let isSecondOfTwo = byte == UInt8(ascii: "\n") && endedWithReturn
            endedWithReturn = byte == UInt8(ascii: "\r")
            if isSecondOfTwo { continue }
            guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else {
                line.append(byte)
                continue
            }
            if let event = endLine() { events.append(event) }
            line.removeAll(keepingCapacity: true)
        }
        return events
    }

    /// The event that an empty line completes.
    private mutating func endLine() -> ServerEvent? {
        guard !line.isEmpty else {
            defer { (name, data) = ("", nil) }
            return data.map { ServerEvent(id: lastID, name: name.isEmpty ? "message" : name, data: Data($0)) }
        }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[min(colon + 1, line.endIndex)...]
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "id": lastID = String(decoding: value, as: UTF8.self)
        case "event": name = String(decoding: value, as: UTF8.self)
        case "data": data = data.map { $0 + [UInt8(ascii: "\n")] + value } ?? Array(value)
        default: break
        }
        return nil
    }
}
