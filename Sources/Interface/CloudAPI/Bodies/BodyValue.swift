/// Any JSON, read to find what is wrong with it.
enum BodyValue: Decodable {
    case null
    case flag(Bool)
    case number(Int64)
    /// Not whole, or beyond 64 bits.
    case otherNumber(Double)
    case text(String)
    case list([BodyValue])
    case object([String: BodyValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Int64.self) {
            self = .number(number)
        } else if let number = try? container.decode(Double.self) {
            self = .otherNumber(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let list = try? container.decode([BodyValue].self) {
            self = .list(list)
        } else {
            self = .object(try container.decode([String: BodyValue].self))
        }
    }

    /// As in "the field is …".
    var words: String {
        switch self {
        case .null: "null"
        case .flag(let flag): "\(flag)"
        case .number(let number): "\(number)"
        case .otherNumber(let number): "\(number)"
        case .text(let text): "'\(text.prefix(64))'"
        case .list: "a list"
        case .object: "an object"
        }
    }
}
