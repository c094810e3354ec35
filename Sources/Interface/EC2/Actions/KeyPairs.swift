public import Primitives

// CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair.

/// A key pair as EC2 shows it.
public struct KeyPairDescription: Sendable {
    public var id: KeyPairID
    public var name: String
    public var fingerprint: String
    /// `rsa` or `ed25519`
    public var type: String
    /// OpenSSH public key line; shown only when asked for.
    public var publicKey: String?
    public var created: Instant
    public var tags: [ResourceTag]

    public init(
        id: KeyPairID, name: String, fingerprint: String, type: String, publicKey: String?, created: Instant, tags: [ResourceTag]
    ) {
        self.id = id
        self.name = name
        self.fingerprint = fingerprint
        self.type = type
        self.publicKey = publicKey
        self.created = created
        self.tags = tags
    }

    static let filters = FilterSchema<KeyPairDescription>(
        ["key-pair-id": { [$0.id.description] }, "fingerprint": { [$0.fingerprint] }, "key-name": { [$0.name] }],
        tags: { dictionary($0.tags) })
}

public struct CreateKeyPair: ActionRequest {
    public static let action = Action.createKeyPair
    public let name: String
    public let tags: [ResourceTag]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        name = try parameters.keyName()
        tags = try parameters.tagSpecification(for: "key-pair")
        if try parameters.choice("KeyType", of: ["rsa", "ed25519"]) == "rsa" {
            throw EC2Error(
                .unsupported, "Keys of type rsa are not made here: ask for ed25519, or make one with ssh-keygen and use ImportKeyPair.")
        }
        if try parameters.choice("KeyFormat", of: ["pem", "ppk"]) == "ppk" {
            throw EC2Error(.unsupported, "KeyFormat ppk is not supported: ask for pem and convert it with puttygen.")
        }
    }

    public struct Response: ActionResponse {
        public var pair: KeyPairDescription
        /// The private key in OpenSSH's PEM form. Not kept anywhere else.
        public var material: String

        public init(pair: KeyPairDescription, material: String) {
            self.pair = pair
            self.material = material
        }

        public func write(to xml: inout XMLWriter) {
            xml.text("keyName", pair.name)
            xml.text("keyFingerprint", pair.fingerprint)
            xml.text("keyMaterial", material)
            xml.text("keyPairId", pair.id.description)
            xml.tagSet(pair.tags)
        }
    }
}

public struct ImportKeyPair: ActionRequest {
    public static let action = Action.importKeyPair
    public let name: String
    public let publicKey: SSHPublicKey
    public let tags: [ResourceTag]

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        name = try parameters.keyName()
        tags = try parameters.tagSpecification(for: "key-pair")
        let material = try parameters.requiredString("PublicKeyMaterial")
        guard let raw = decodeBase64(material), let text = String(validating: raw, as: UTF8.self), let key = SSHPublicKey(text) else {
            throw EC2Error(.invalidKeyFormat, "Key is not in valid OpenSSH public key format")
        }
        publicKey = key
    }

    public struct Response: ActionResponse {
        public var pair: KeyPairDescription
        public init(pair: KeyPairDescription) { self.pair = pair }

        public func write(to xml: inout XMLWriter) {
            xml.text("keyName", pair.name)
            xml.text("keyFingerprint", pair.fingerprint)
            xml.text("keyPairId", pair.id.description)
            xml.tagSet(pair.tags)
        }
    }
}

public struct DescribeKeyPairs: ActionRequest {
    public static let action = Action.describeKeyPairs
    public let names: [String]
    public let identifiers: [String]
    public let includePublicKey: Bool
    public let filter: @Sendable (KeyPairDescription) -> Bool

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        names = try parameters.strings("KeyName")
        identifiers = try parameters.strings("KeyPairId")
        includePublicKey = try parameters.boolean("IncludePublicKey") ?? false
        filter = try KeyPairDescription.filters.matcher(try parameters.filters())
    }

    public struct Response: ActionResponse {
        public var pairs: [KeyPairDescription]
        public init(pairs: [KeyPairDescription]) { self.pairs = pairs }

        public func write(to xml: inout XMLWriter) {
            xml.list("keySet", pairs) { xml, pair in
                xml.text("keyPairId", pair.id.description)
                xml.text("keyFingerprint", pair.fingerprint)
                xml.text("keyName", pair.name)
                xml.text("keyType", pair.type)
                xml.tagSet(pair.tags)
                xml.text("publicKey", ifPresent: pair.publicKey)
                xml.time("createTime", pair.created)
            }
        }
    }
}

public struct DeleteKeyPair: ActionRequest {
    public static let action = Action.deleteKeyPair
    /// Exactly one of the two is given.
    public let name: String?
    public let identifier: String?

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        name = parameters.string("KeyName")
        identifier = parameters.string("KeyPairId")
        guard (name == nil) != (identifier == nil) else {
            if name == nil { throw parameters.missing("KeyName") }
            throw EC2Error(.invalidParameterCombination, "Give KeyName or KeyPairId, not both.")
        }
    }

    public struct Response: ActionResponse {
        /// Absent when there was no such pair: deleting is idempotent, as in EC2.
        public var deleted: KeyPairID?
        public init(deleted: KeyPairID?) { self.deleted = deleted }

        public func write(to xml: inout XMLWriter) {
            xml.boolean("return", true)
            xml.text("keyPairId", ifPresent: deleted?.description)
        }
    }
}

extension ParameterReader {
    fileprivate mutating func keyName() throws(EC2Error) -> String {
        let name = try requiredString("KeyName")
        guard name.unicodeScalars.count <= 255, name.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }) else {
            throw EC2Error(.invalidParameterValue, "A key pair name has at most 255 printable characters.")
        }
        return name
    }
}
