import Primitives

/// The time form of signatures: `20130524T000000Z` (ISO 8601 basic).
enum SignatureTime {
    static func text(_ instant: Instant) -> String {
        let whole = instant.floored(to: .seconds(1)).description
        return String(whole.filter { $0 != "-" && $0 != ":" })
    }

    /// Nil unless `text` has exactly that form and names a moment that exists.
    static func instant(_ text: String) -> Instant? {
        let part = Array(text.utf8)
        guard part.count == 16 else { return nil }
        func piece(_ range: Range<Int>) -> String { String(decoding: part[range], as: UTF8.self) }
        return Instant(
            "\(piece(0..<4))-\(piece(4..<6))-\(piece(6..<8))\(piece(8..<9))\(piece(9..<11)):\(piece(11..<13)):\(piece(13..<15))\(piece(15..<16))"
        )
    }
}
