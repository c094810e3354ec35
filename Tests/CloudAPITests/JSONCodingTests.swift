import CloudAPI
import Foundation
import Primitives
import Testing

/// Our own reading and writing of JSON is Foundation's, for what is right and for what is wrong.
@Suite struct JSONCodingTests {
    private enum Colour: String, Codable, Sendable, CaseIterable { case red, green }

    /// What the wire has, and what it has not yet.
    private struct Thing: Codable, Equatable, Sendable {
        var text: String
        var more: [String: String]
        var numbers: [Int64]
        var small: Int8
        var unsigned: UInt64
        var flag: Bool
        var colour: Colour
        var perhaps: Int64?
        var holes: [Bool?]
        var byID: [InstanceID: Int32]
        var size: Resources
        var nested: [Thing]
        var ratio: Double?
    }

    private static let texts = [
        "", "a", "rehearsal", "a/b", "\"", "\\", "a\"b\\c", "\u{0}", "\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f} \u{7f}", "ü", "€", "😀",
        "\u{2028}\u{2029}",
        "e\u{301}", "null", "{}", "\u{feff}",
    ]

    private func thing(_ generator: inout SeededGenerator, depth: Int, plain: Bool) -> Thing {
        let texts = plain ? ["", "a", "b/c", "Name", "rehearsal"] : Self.texts
        func text() -> String { texts[Int(generator.next() % UInt64(texts.count))] }
        func number() -> Int64 { Int64(bitPattern: generator.next()) >> Int64(generator.next() % 64) }
        let nested = depth > 0 ? (0..<Int(generator.next() % 3)).map { _ in thing(&generator, depth: depth - 1, plain: plain) } : []
        return Thing(
            text: text(), more: Dictionary((0..<Int(generator.next() % 6)).map { _ in (text(), text()) }, uniquingKeysWith: { $1 }),
            numbers: (0..<Int(generator.next() % 4)).map { _ in number() }, small: Int8(truncatingIfNeeded: number()),
            unsigned: generator.next(), flag: generator.next() % 2 == 0, colour: generator.next() % 2 == 0 ? .red : .green,
            perhaps: generator.next() % 2 == 0 ? nil : number(), holes: [nil, true, false].shuffled(using: &generator),
            byID: [InstanceID(bits: generator.next()): Int32(truncatingIfNeeded: number())],
            size: Resources(milliCPU: number(), memoryMiB: number()), nested: nested,
            ratio: plain || generator.next() % 2 == 0 ? nil : Double(number()) / 1_024)
    }

    @Test func itIsWrittenAsFoundationWritesIt() throws {
        var generator = SeededGenerator(seed: 1)
        for round in 0..<400 {
            let value = thing(&generator, depth: 2, plain: round % 2 == 0)
            let bytes = try WireJSON.encode(value)
            #expect(bytes == (try WireJSON.encodeByFoundation(value)))
            #expect(try WireJSON.text(value) == String(decoding: bytes, as: UTF8.self))
            #expect(try WireJSON.decode(Thing.self, from: bytes) == JSONDecoder().decode(Thing.self, from: bytes))
        }
    }

    @Test func valuesThatAreNoObjects() throws {
        #expect(try WireJSON.text(["b", "a"]) == #"["b","a"]"#)
        #expect(try WireJSON.text("x") == #""x""#)
        #expect(try WireJSON.text(-7) == "-7")
        #expect(try WireJSON.text(Int64.min) == "-9223372036854775808")
        #expect(try WireJSON.text([Int]()) == "[]")
        #expect(try WireJSON.text(Empty()) == "{}")
        #expect(try WireJSON.decode([Int8].self, from: Data(" [ 1 , -128 ]\n".utf8)) == [1, -128])
        #expect(throws: (any Error).self) { try WireJSON.decode([Int8].self, from: Data("[128]".utf8)) }
    }

    /// Texts with one byte changed, left out or put in are read, or refused, as Foundation does.
    @Test func itIsReadAsFoundationReadsIt() throws {
        var generator = SeededGenerator(seed: 2)
        let marks = Array("{}[]\":,.-+0123456789eEtrufalsn \\/\n\u{0}".utf8) + [0xC3, 0x80, 0xFF]
        var read = 0
        for round in 0..<4_000 {
            var bytes = Array(try WireJSON.encode(thing(&generator, depth: 1, plain: round % 4 != 0)))
            let place = Int(generator.next() % UInt64(bytes.count))
            let mark = marks[Int(generator.next() % UInt64(marks.count))]
            switch generator.next() % 4 {
            case 0: bytes[place] = mark
            case 1: bytes.insert(mark, at: place)
            case 2: bytes.remove(at: place)
            default: bytes.swapAt(place, Int(generator.next() % UInt64(bytes.count)))
            }
            let ours = try? WireJSON.decode(Thing.self, from: Data(bytes))
            let theirs = try? JSONDecoder().decode(Thing.self, from: Data(bytes))
            if ours != nil { read += 1 }
            #expect(ours == theirs, "\(String(decoding: bytes, as: UTF8.self))")
        }
        #expect((200..<3_800).contains(read), "both kinds should be met, not \(read) of 4000 that can be read")
    }

    @Test(arguments: [
        #"{"name":"a","name":"b"}"#, #"{"name":null}"#, #"{}"#, #"{"name":"\u0041"}"#, #"{"name":"ü"}"#, #"{"name":"a",}"#,
        #"{"name":"a"} x"#,
        #"{"name":1}"#, #"{"name":"a","other":[1.5,1e3,{"deep":[[[]]]}]}"#, #"{"name":"a","other":01}"#, #"{"name":"a","other":-}"#,
        #"{"name":"a","other":nul}"#, "{\"name\":\"a\tb\"}", #"{"name":"a","other":"\q"}"#, #" {"name" : "a"} "#,
        "\u{feff}{\"name\":\"a\"}",
    ])
    func oddTexts(_ text: String) {
        struct Named: Decodable, Equatable { var name: String? }
        let ours = try? WireJSON.decode(Named.self, from: Data(text.utf8))
        let theirs = try? JSONDecoder().decode(Named.self, from: Data(text.utf8))
        #expect(ours == theirs)
    }

    @Test func wholeNumbersInAnotherForm() throws {
        for text in ["[1.0]", "[1e2]", "[-0]", "[10000000000000000000]", "[1.5]"] {
            let ours = try? WireJSON.decode([Int64].self, from: Data(text.utf8))
            let theirs = try? JSONDecoder().decode([Int64].self, from: Data(text.utf8))
            #expect(ours == theirs, "\(text)")
        }
    }
}
