import CloudAPI
import Foundation
import Primitives

// What of a request for an instance is kept as it is, and shown to people and guests.

extension CreateInstance {
    /// The bounds of EC2, which clients know.
    private static let mostTags = 50
    private static let mostInOneLaunch: Int64 = 1_000_000
    private static let longestUserData = 16_384
    private static let mostKeys = 100

    static func nothing(_ resources: Resources) -> Refusal {
        let negative = resources.components.first { $0.amount < 0 }
        return Refusal(
            "instance.resources", .invalid,
            negative.map { "An instance cannot have \($0.amount) \($0.name)." }
                ?? "An instance needs processor, memory and disk above zero.",
            facts: [
                "milliCPU": .number(resources.milliCPU), "memoryMiB": .number(resources.memoryMiB), "diskMiB": .number(resources.diskMiB),
            ],
            nearest: "1000 milliCPU with memory and disk for its image")
    }

    func checkTexts() throws(Refusal) {
        guard id.bits != 0 else {
            throw Refusal(
                "instance.id", .invalid, "\(id) is nobody's identifier.", facts: ["instance": .text(id.description)],
                nearest: "an identifier with 16 random digits")
        }
        guard (0...Self.mostInOneLaunch).contains(launchCount ?? 0) else {
            throw Refusal(
                "instance.launch-count", .invalid,
                "A launch request has 1 to \(Self.mostInOneLaunch) instances, not \(launchCount ?? 0).",
                facts: ["launchCount": .number(launchCount ?? 0)], nearest: "none, or the number that it has")
        }
        guard (0...Self.mostInOneLaunch).contains(launchIndex) else {
            throw Refusal(
                "instance.launch-index", .invalid,
                "An instance's place in its launch request is 0 to \(Self.mostInOneLaunch), not \(launchIndex).",
                facts: ["launchIndex": .number(launchIndex)], nearest: "0")
        }
        if let priority = restartPriority, !(0...100).contains(priority) {
            throw Refusal(
                "instance.restart-priority", .invalid, "A restart priority is 0 to 100, not \(priority).",
                facts: ["restartPriority": .number(priority)], nearest: "\(min(100, max(0, priority)))")
        }
        try Self.check("offering", offering, longest: 128)
        guard keys.count <= Self.mostKeys else {
            throw Refusal(
                "instance.keys", .invalid, "An instance has at most \(Self.mostKeys) keys, not \(keys.count).",
                facts: ["keys": .number(Int64(keys.count))], nearest: "\(Self.mostKeys) keys")
        }
        for key in keys {
            try Self.check("key name", key.name, longest: 255)
            try Self.check("public key", key.publicKey, longest: 16_384)
        }
        try checkTags()
        try checkUserData()
    }

    private func checkTags() throws(Refusal) {
        guard tags.count <= Self.mostTags else {
            throw Refusal(
                "instance.tags", .invalid, "An instance has at most \(Self.mostTags) tags, not \(tags.count).",
                facts: ["tags": .number(Int64(tags.count))], nearest: "\(Self.mostTags) tags")
        }
        for (key, value) in tags.sorted(by: { $0.key < $1.key }) where !(1...128).contains(key.count) || value.count > 256 {
            throw Refusal(
                "instance.tags", .invalid,
                "A tag has a key of 1 to 128 characters and a value of at most 256; '\(key.prefix(128))' has not.",
                facts: ["keyCharacters": .number(Int64(key.count)), "valueCharacters": .number(Int64(value.count))],
                nearest: "a shorter one")
        }
    }

    private func checkUserData() throws(Refusal) {
        guard let userData else { return }
        let bytes = Data(base64Encoded: userData)?.count
        guard let bytes, bytes <= Self.longestUserData else {
            throw Refusal(
                "instance.user-data", .invalid,
                bytes.map { "User data has at most \(Self.longestUserData) bytes, not \($0)." } ?? "User data is not Base64.",
                facts: ["characters": .number(Int64(userData.utf8.count))], nearest: "at most \(Self.longestUserData) bytes in Base64")
        }
    }

    /// One line of text.
    private static func check(_ what: String, _ text: String, longest: Int) throws(Refusal) {
        let isOneLine = !text.unicodeScalars.contains { $0.properties.generalCategory == .control || (0x202A...0x202E).contains($0.value) }
        guard isOneLine, text.utf8.count <= longest else {
            throw Refusal(
                "instance.text", .invalid, "The \(what) is one line of at most \(longest) bytes; this has \(text.utf8.count).",
                facts: ["what": .text(what), "bytes": .number(Int64(text.utf8.count))], nearest: "one line without control characters")
        }
    }
}
