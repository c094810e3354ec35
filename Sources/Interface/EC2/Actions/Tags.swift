// CreateTags, DescribeTags, DeleteTags.

public struct CreateTags: ActionRequest {
    public static let action = Action.createTags
    /// Identifiers of instances or key pairs, as sent.
    public let resources: [String]
    public let tags: [ResourceTag]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        resources = try parameters.strings("ResourceId")
        guard !resources.isEmpty else { throw parameters.missing("ResourceId") }
        tags = try parameters.tags()
        guard !tags.isEmpty else { throw parameters.missing("Tag") }
    }

    public typealias Response = SuccessResponse
}

public struct DeleteTags: ActionRequest {
    public static let action = Action.deleteTags

    /// With a value, only a tag that has this value is deleted.
    public struct Selection: Sendable, Hashable {
        public var key: String
        public var value: String?
    }

    public let resources: [String]
    /// Empty: every tag.
    public let tags: [Selection]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        resources = try parameters.strings("ResourceId")
        guard !resources.isEmpty else { throw parameters.missing("ResourceId") }
        tags = try parameters.structures("Tag") { (tag: inout ParameterReader) throws(EC2Error) -> Selection in
            let key = try tag.requiredString("Key")
            return Selection(key: key, value: tag.string("Value"))
        }
    }

    public typealias Response = SuccessResponse
}

public struct DescribeTags: ActionRequest {
    public static let action = Action.describeTags
    public let paging: Paging
    public let filter: @Sendable (TagDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        let filters = try parameters.filters()
        filter = try TagDescription.filters.matcher(filters)
        paging = try parameters.paging(Self.action, 5...1_000, filters: filters)
    }

    public struct Response: ActionResponse {
        public var tags: [TagDescription]
        public var nextToken: String?

        public init(tags: [TagDescription], nextToken: String?) {
            self.tags = tags
            self.nextToken = nextToken
        }

        public func write(to xml: inout XMLWriter) {
            xml.list("tagSet", tags) { xml, tag in
                xml.text("resourceId", tag.resource)
                xml.text("resourceType", tag.resourceType)
                xml.text("key", tag.key)
                xml.text("value", tag.value)
            }
            xml.text("nextToken", ifPresent: nextToken)
        }
    }
}

public struct TagDescription: Sendable {
    public var resource: String
    /// `instance` or `key-pair`
    public var resourceType: String
    public var key: String
    public var value: String

    public init(resource: String, resourceType: String, key: String, value: String) {
        self.resource = resource
        self.resourceType = resourceType
        self.key = key
        self.value = value
    }

    /// What pages are cut by. The separator cannot occur in an identifier.
    public var position: String { "\(resource) \(key)" }

    static let filters = FilterSchema<TagDescription>([
        "key": { [$0.key] }, "value": { [$0.value] }, "resource-id": { [$0.resource] }, "resource-type": { [$0.resourceType] },
    ])
}
