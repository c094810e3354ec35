/// A tag: a name and a value a user hangs on a resource.
public struct ResourceTag: Sendable, Hashable, Codable {
    public var key: String
    public var value: String

    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }

    /// EC2's own limits: tags per resource, and characters of key and value.
    public static let largestCount = 50
    static let longestKey = 128
    static let longestValue = 256
}

extension ParameterReader {
    /// `Tag.N.Key`, `Tag.N.Value` with all of EC2's rules.
    mutating func tags(_ name: String = "Tag") throws(EC2Error) -> [ResourceTag] {
        let tags = try structures(name) { (tag: inout ParameterReader) throws(EC2Error) -> ResourceTag in
            let key = tag.string("Key") ?? ""
            return try Self.checked(ResourceTag(key: key, value: tag.string("Value") ?? ""))
        }
        var keys: Set<String> = []
        for tag in tags where !keys.insert(tag.key).inserted {
            throw EC2Error(.invalidParameterValue, "Duplicate tag key '\(tag.key)' specified.")
        }
        guard tags.count <= ResourceTag.largestCount else {
            throw EC2Error(.tagLimitExceeded, "A resource has at most \(ResourceTag.largestCount) tags; \(tags.count) were given.")
        }
        return tags
    }

    /// `TagSpecification.N` for one type of resource.
    mutating func tagSpecification(for resourceType: String) throws(EC2Error) -> [ResourceTag] {
        let lists = try structures("TagSpecification") { (specification: inout ParameterReader) throws(EC2Error) -> [ResourceTag] in
            let type = try specification.requiredString("ResourceType")
            guard type == resourceType else {
                throw EC2Error(
                    .invalidParameterValue, "'\(type)' is not a valid taggable resource type for this operation; '\(resourceType)' is.")
            }
            return try specification.tags()
        }
        guard lists.count <= 1 else {
            throw EC2Error(.invalidParameterValue, "Tag specification resource type '\(resourceType)' is given more than once.")
        }
        return lists.first ?? []
    }

    private static func checked(_ tag: ResourceTag) throws(EC2Error) -> ResourceTag {
        guard (1...ResourceTag.longestKey).contains(tag.key.unicodeScalars.count) else {
            throw EC2Error(.invalidTagKeyMalformed, "A tag key has 1 to \(ResourceTag.longestKey) characters: '\(tag.key.prefix(40))'")
        }
        guard !tag.key.lowercased().hasPrefix("aws:") else {
            throw EC2Error(.invalidTagKeyMalformed, "Tag keys starting with 'aws:' are reserved: '\(tag.key)'")
        }
        guard tag.value.unicodeScalars.count <= ResourceTag.longestValue else {
            throw EC2Error(.invalidParameterValue, "A tag value has at most \(ResourceTag.longestValue) characters (tag '\(tag.key)').")
        }
        return tag
    }
}

extension XMLWriter {
    mutating func tagSet(_ tags: [ResourceTag]) {
        list("tagSet", tags.sorted { $0.key < $1.key }) { xml, tag in
            xml.text("key", tag.key)
            xml.text("value", tag.value)
        }
    }
}

func dictionary(_ tags: [ResourceTag]) -> [String: String] {
    Dictionary(tags.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
}
