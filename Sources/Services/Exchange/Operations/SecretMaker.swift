import Crypto
import Foundation
import Primitives
import ServiceKit
import Store

/// Secrets that are shown once and kept nowhere, and are the same when the same request is made again: they are derived from its
/// idempotency key with a key that only this exchange has (HMAC-SHA256).
struct SecretMaker: Sendable {
    private let key: SymmetricKey

    /// The key in `<directory>/secrets.key`, made there (mode 0600) if there is none.
    init(directory: String) throws {
        let path = directory + "/secrets.key"
        if !FileManager.default.fileExists(atPath: path) { try Self.makeFile(path) }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        guard bytes.count == 32 else {
            throw Refusal("exchange.secrets", .invalid, "\(path) does not hold 32 bytes.", nearest: "restore it from a backup")
        }
        key = SymmetricKey(data: bytes)
    }

    /// 256 bits: random, unless the request can come again.
    func secret(for request: IdempotentRequest?, _ ids: any IDSource) -> Secret {
        guard let request else { return Secret(bytes: SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }) }
        var code = HMAC<SHA256>(key: key)
        for field in [request.scope, request.key, request.requestHash] { code.update(data: Data("\(field.utf8.count):\(field)".utf8)) }
        return Secret(bytes: Array(code.finalize()))
    }

    /// Appears whole or not at all, and is never replaced, also when two processes start at the same time.
    private static func makeFile(_ path: String) throws {
        let draft = path + ".\(ProcessInfo.processInfo.processIdentifier)"
        let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0) }
        try? FileManager.default.removeItem(atPath: draft)
        guard FileManager.default.createFile(atPath: draft, contents: bytes, attributes: [.posixPermissions: 0o600]) else {
            throw Refusal("exchange.secrets", .unavailable, "\(path) cannot be written.")
        }
        defer { unlink(draft) }
        guard link(draft, path) == 0 || errno == EEXIST else {
            throw Refusal("exchange.secrets", .unavailable, "\(path) cannot be written.")
        }
    }
}

struct Secret: Sendable {
    let bytes: [UInt8]

    /// For a bearer token.
    var bits: (UInt64, UInt64, UInt64) { (word(0), word(1), word(2)) }
    /// For the record beside it. Of a part that is in no token.
    var identifier: UInt64 { word(3) }
    var base64URL: String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    private func word(_ index: Int) -> UInt64 { bytes[(index * 8)..<(index * 8 + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
}

extension WriteContext {
    /// True the first time a request is seen. Remembers only that it was made, not what was answered; refuses another request with
    /// the same key.
    func isFirst(_ request: IdempotentRequest?, at: Instant) throws -> Bool {
        guard let request else { return true }
        let scope = "secret:" + request.scope
        if let earlier = try answer(scope: scope, key: request.key) {
            _ = try request.same(as: earlier)
            return false
        }
        try rememberAnswer(scope: scope, key: request.key, requestHash: request.requestHash, status: 201, body: "{}", at: at)
        return true
    }
}
