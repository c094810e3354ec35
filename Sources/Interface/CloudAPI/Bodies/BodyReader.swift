public import Foundation
public import Primitives

/// Reads the bodies of requests. What is wrong with one is said with the field, and with the nearest thing that would do.
public enum BodyReader {
    /// - Parameter toleratesUnknown: fields that the type does not know are passed over; otherwise they are refused.
    public static func read<Body: Decodable>(_ type: Body.Type, from data: Data, toleratesUnknown: Bool) throws(Refusal) -> Body {
        if let (body, isWhole) = JSONTapeDecoder.read(type, from: data), isWhole || toleratesUnknown { return body }
        let value: BodyValue
        do { value = try JSONDecoder().decode(BodyValue.self, from: data) } catch { throw notJSON(error) }
        if let form = BodyForm.of(type), let refusal = form.problem(with: value, at: [], toleratesUnknown) { throw refusal }
        do {
            return try WireJSON.decode(type, from: data)
        } catch {
            throw Refusal(
                "request.body", .invalid, "The request cannot be read: \(WireJSON.explain(error)).",
                nearest: "a body as the description of this program's API has it")
        }
    }

    /// The names of the fields that a type knows at a path, where it is an object there.
    package static func fields(of type: any Decodable.Type, at path: some Sequence<String>) -> [String] {
        guard case .object(let fields)? = form(of: type, at: path) else { return [] }
        return fields.map(\.name)
    }

    /// The texts that a type allows at a path, where only some are.
    package static func choices(of type: any Decodable.Type, at path: some Sequence<String>) -> [String] {
        guard case .choice(let values)? = form(of: type, at: path) else { return [] }
        return values
    }

    /// What would do at a path of a type; nil: that cannot be told.
    package static func nearest(of type: any Decodable.Type, at path: some Sequence<String>) -> String? {
        form(of: type, at: path)?.nearest
    }

    private static func form(of type: any Decodable.Type, at path: some Sequence<String>) -> BodyForm? {
        path.reduce(BodyForm.of(type)) { form, name in
            switch form {
            case .object(let fields)?: fields.first { $0.name == name }?.form
            case .map(let inner)?, .list(let inner)?: inner
            default: nil
            }
        }
    }

    private static func notJSON(_ error: any Error) -> Refusal {
        var place = ""
        if case DecodingError.dataCorrupted(let context) = error, let cause = context.underlyingError as? NSError,
            let text = cause.userInfo[NSDebugDescriptionErrorKey] as? String
        {
            place = " (\(text.hasSuffix(".") ? String(text.dropLast()) : text))"
        }
        return Refusal(
            "request.body", .invalid, "The request cannot be read: the body is not valid JSON\(place).",
            nearest: "a JSON object, e.g. {}")
    }
}

extension BodyForm {
    /// The first thing that is wrong with a value, in the order of the type's fields; nil: nothing is.
    func problem(with value: BodyValue, at path: [String], _ toleratesUnknown: Bool) -> Refusal? {
        switch (self, value) {
        case (.object(let fields), .object(let members)): return Self.problem(fields, members, at: path, toleratesUnknown)
        case (.map(let form), .object(let members)):
            return members.sorted { $0.key < $1.key }.lazy
                .compactMap { form.problem(with: $0.value, at: path + [$0.key], toleratesUnknown) }.first
        case (.list(let form), .list(let items)):
            return items.enumerated().lazy.compactMap { form.problem(with: $1, at: path + ["\($0)"], toleratesUnknown) }.first
        case (.choice(let values), .text(let text)):
            guard !values.contains(text) else { return nil }
            return Self.refusal(path, "is '\(text.prefix(64))', which is none of its values", NearestNames.text(values, to: text, most: 24))
        case (.text(let pattern, let example), .text(let text)):
            guard let pattern, let wanted = try? Regex(pattern), (try? wanted.wholeMatch(in: text)) == nil else { return nil }
            return Self.refusal(path, "has a value that is not allowed: '\(text.prefix(64))'", example.map { "such as \($0)" })
        case (.number, .number), (.flag, .flag), (.any, _): return nil
        case (.number, .otherNumber(let number)):
            let near = Int64(exactly: number.rounded())
            return Self.refusal(
                path, near == nil ? "is \(number), beyond the whole numbers of 64 bits" : "is \(number), which is not a whole number",
                "\(near ?? (number > 0 ? .max : .min))")
        case (_, .null): return Self.refusal(path, "is null where \(words) is needed", words)
        default: return Self.refusal(path, "is not \(words)", nearest)
        }
    }

    private static func problem(
        _ fields: [Field], _ members: [String: BodyValue], at path: [String], _ toleratesUnknown: Bool
    ) -> Refusal? {
        let known = fields.map(\.name)
        if !toleratesUnknown, let unknown = members.keys.filter({ !known.contains($0) }).min() {
            return Self.unknown(unknown, at: path, known)
        }
        for field in fields {
            let path = path + [field.name]
            guard let value = members[field.name] else {
                guard field.isRequired else { continue }
                return refusal(path, "is missing", "the same with \(field.name): \(field.form.nearest)")
            }
            if case .null = value, !field.isRequired { continue }
            if let refusal = field.form.problem(with: value, at: path, toleratesUnknown) { return refusal }
        }
        return nil
    }

    /// What would do.
    fileprivate var nearest: String {
        switch self {
        case .choice(let values): NearestNames.text(values, to: "", most: 24) ?? words
        case .text(_, let example?): "such as \(example)"
        case .object(let fields) where !fields.isEmpty: "an object with \(fields.map(\.name).joined(separator: ", "))"
        default: words
        }
    }

    private static func refusal(_ path: [String], _ problem: String, _ nearest: String?) -> Refusal {
        let field = path.joined(separator: ".")
        return Refusal(
            "request.body", .invalid,
            path.isEmpty
                ? "The request cannot be read: the body \(problem)." : "The request cannot be read: the field '\(field)' \(problem).",
            facts: path.isEmpty ? [:] : ["field": .text(field)], nearest: nearest)
    }

    private static func unknown(_ name: String, at path: [String], _ known: [String]) -> Refusal {
        let field = (path + [name]).joined(separator: ".")
        return Refusal(
            "request.unknown-field", .invalid, "There is no field '\(field.prefix(200))' in this request.",
            facts: ["field": .text(String(field.prefix(200)))],
            nearest: NearestNames.text(known, to: name, most: 24) ?? "no field at all")
    }
}
