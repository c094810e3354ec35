public import Primitives

/// Writes XML straight into bytes. Element names are static strings, so nothing is allocated for them.
public struct XMLWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init(capacity: Int = 4_096) {
        bytes.reserveCapacity(capacity)
        append("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
    }

    public mutating func element(_ name: StaticString, _ content: (inout XMLWriter) -> Void) {
        open(name)
        content(&self)
        close(name)
    }

    /// An element with a name known only at run time, and a default namespace: the root of an answer.
    mutating func root(_ name: String, namespace: StaticString, _ content: (inout XMLWriter) -> Void) {
        bytes += "<\(name) xmlns=\"".utf8
        append(namespace)
        append("\">")
        content(&self)
        bytes += "</\(name)>".utf8
    }

    /// A list as EC2 writes it: `<name><item>…</item>…</name>`, also when it is empty.
    public mutating func list<Element>(_ name: StaticString, _ elements: [Element], _ content: (inout XMLWriter, Element) -> Void) {
        element(name) { xml in
            for element in elements { xml.element("item") { content(&$0, element) } }
        }
    }

    public mutating func text(_ name: StaticString, _ value: String) {
        open(name)
        appendEscaped(value)
        close(name)
    }

    /// Nothing at all when there is no value.
    public mutating func text(_ name: StaticString, ifPresent value: String?) {
        if let value { text(name, value) }
    }

    public mutating func integer(_ name: StaticString, _ value: some BinaryInteger) { text(name, String(value)) }

    public mutating func boolean(_ name: StaticString, _ value: Bool) { text(name, value ? "true" : "false") }

    /// ISO 8601 with milliseconds, as EC2 writes it: `2026-01-31T12:00:00.000Z`.
    public mutating func time(_ name: StaticString, _ value: Instant) { text(name, ec2Time(value)) }

    private mutating func open(_ name: StaticString) {
        bytes.append(UInt8(ascii: "<"))
        append(name)
        bytes.append(UInt8(ascii: ">"))
    }

    private mutating func close(_ name: StaticString) {
        append("</")
        append(name)
        bytes.append(UInt8(ascii: ">"))
    }

    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func appendEscaped(_ text: String) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "&"): append("&amp;")
            case UInt8(ascii: "<"): append("&lt;")
            case UInt8(ascii: ">"): append("&gt;")
            case UInt8(ascii: "\r"): append("&#13;")
            // Control characters cannot stand in XML 1.0 at all, not even escaped.
            case 0..<9, 11, 12, 14..<32: append("\u{FFFD}")
            default: bytes.append(byte)
            }
        }
    }
}

func ec2Time(_ value: Instant) -> String {
    let whole = value.floored(to: .seconds(1))
    let milliseconds = String((value - whole).microseconds / 1_000)
    return whole.description.dropLast() + "." + String(repeating: "0", count: 3 - milliseconds.utf8.count) + milliseconds + "Z"
}
