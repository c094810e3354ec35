import Crypto
public import Primitives

/// One line of the audit trail: who did what to which subject. `hash` covers all fields and the hash before, so that no line can be
/// altered, removed or moved unnoticed.
public struct AuditEntry: Sendable, Hashable {
    /// 1, 2, 3, … without gaps.
    public var sequence: Int64
    public var actor: String
    public var action: String
    public var subject: String
    /// JSON.
    public var detail: String
    public var at: Instant
    /// SHA-256 in hexadecimal, of the entry before; 64 zeros for the first.
    public var previousHash: String
    public var hash: String
}

/// What a check of the audit trail found.
public struct AuditReport: Sendable, Hashable {
    /// How many entries were read, up to and including the first that is wrong.
    public var checked: Int64
    /// The newest entry's number and hash, as the trail itself says. Keep a copy elsewhere to notice a trail rewritten as a whole.
    public var head: AuditHead
    /// Nil when everything fits.
    public var problem: AuditProblem?
}

public struct AuditHead: Sendable, Hashable {
    public var sequence: Int64
    public var hash: String

    public init(sequence: Int64, hash: String) {
        self.sequence = sequence
        self.hash = hash
    }

    /// The head of an empty trail.
    public static let start = AuditHead(sequence: 0, hash: String(repeating: "0", count: 64))
}

public enum AuditProblem: Sendable, Hashable {
    /// The entry's fields do not give its hash, or it does not follow the entry before.
    case altered(sequence: Int64)
    /// There is no entry with this number although there is a later one, or the head says there must be.
    case missing(sequence: Int64)
    /// The trail does not end in the head it claims, or does not contain the head the caller remembers.
    case wrongHead(expected: AuditHead, found: AuditHead)
}

/// A line to append; its number and hashes are given by the trail. `detail` is JSON.
public struct NewAuditEntry: Sendable, Hashable {
    public var actor: String
    public var action: String
    public var subject: String
    public var detail: String
    public var at: Instant

    public init(actor: String, action: String, subject: String, detail: String, at: Instant) {
        self.actor = actor
        self.action = action
        self.subject = subject
        self.detail = detail
        self.at = at
    }
}

extension WriteContext {
    /// Appends to the audit trail. `detail` is JSON.
    public func appendAudit(actor: String, action: String, subject: String, detail: String, at: Instant) throws {
        try appendAudit([NewAuditEntry(actor: actor, action: action, subject: subject, detail: detail, at: at)])
    }

    /// Appends many lines at once, in this order.
    public func appendAudit(_ entries: [NewAuditEntry]) throws {
        guard !entries.isEmpty else { return }
        var head = try auditHead()
        var rows: [[SQLValue]] = []
        rows.reserveCapacity(entries.count)
        for new in entries {
            var entry = AuditEntry(
                sequence: head.sequence + 1, actor: new.actor, action: new.action, subject: new.subject, detail: new.detail, at: new.at,
                previousHash: head.hash, hash: "")
            entry.hash = entry.expectedHash()
            rows.append([
                SQLValue(entry.sequence), .text(new.actor), .text(new.action), .text(new.subject), .text(new.detail), SQLValue(new.at),
                .text(entry.previousHash), .text(entry.hash),
            ])
            head = AuditHead(sequence: entry.sequence, hash: entry.hash)
        }
        try executeMany(
            """
            INSERT INTO audit (sequence, actor, action, subject, detail, at, previous_hash, hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """, rows)
        try execute("UPDATE audit_head SET sequence = $1, hash = $2 WHERE id = 1", [SQLValue(head.sequence), .text(head.hash)])
    }
}

extension ReadContext {
    /// Entries after a number, oldest first.
    public func audit(after sequence: Int64, limit: Int) throws -> [AuditEntry] {
        let sql = """
            SELECT sequence, actor, action, subject, detail, at, previous_hash, hash FROM audit WHERE sequence > $1 ORDER BY sequence LIMIT $2
            """
        return try query(sql, [SQLValue(sequence), SQLValue(limit)]).map(AuditEntry.init(row:))
    }

    /// The number and hash of the newest entry.
    public func auditHead() throws -> AuditHead {
        guard let row = try queryOne("SELECT sequence, hash FROM audit_head WHERE id = 1") else {
            throw StoreError.corrupted("the row of audit_head is missing")
        }
        return AuditHead(sequence: try row.integer("sequence"), hash: try row.text("hash"))
    }

    /// Recomputes the chain from the first entry, or from `known`, a head seen before, which must still be part of the trail.
    public func verifyAudit(from known: AuditHead = .start) throws -> AuditReport {
        let head = try auditHead()
        var last = known
        var report = AuditReport(checked: 0, head: head, problem: try problem(with: known))
        while report.problem == nil {
            let page = try audit(after: last.sequence, limit: 1_000)
            if page.isEmpty { break }
            for entry in page where report.problem == nil {
                report.checked += 1
                report.problem = entry.problem(following: last)
                last = AuditHead(sequence: entry.sequence, hash: entry.hash)
            }
        }
        if report.problem == nil, last != head {
            report.problem = last.sequence < head.sequence ? .missing(sequence: last.sequence + 1) : .wrongHead(expected: head, found: last)
        }
        return report
    }

    private func problem(with known: AuditHead) throws -> AuditProblem? {
        guard known != .start else { return nil }
        guard let entry = try audit(after: known.sequence - 1, limit: 1).first, entry.sequence == known.sequence else {
            return .missing(sequence: known.sequence)
        }
        return entry.hash == known.hash ? nil : .wrongHead(expected: known, found: AuditHead(sequence: entry.sequence, hash: entry.hash))
    }
}

extension AuditEntry {
    fileprivate init(row: Row) throws {
        self.init(
            sequence: try row.integer("sequence"), actor: try row.text("actor"), action: try row.text("action"),
            subject: try row.text("subject"),
            detail: try row.text("detail"), at: try row.instant("at"), previousHash: try row.text("previous_hash"),
            hash: try row.text("hash"))
    }

    fileprivate func problem(following last: AuditHead) -> AuditProblem? {
        if sequence != last.sequence + 1 { return .missing(sequence: last.sequence + 1) }
        return previousHash == last.hash && hash == expectedHash() ? nil : .altered(sequence: sequence)
    }

    /// SHA-256 over the previous hash, sequence, time (µs), actor, action, subject and detail, each as UTF-8 text preceded by its
    /// length in bytes (64 bits, big-endian), so that no two entries share one input. In lower-case hexadecimal.
    public func expectedHash() -> String {
        var input: [UInt8] = []
        input.reserveCapacity(256 + detail.utf8.count)
        for var field in [previousHash, String(sequence), String(at.microseconds), actor, action, subject, detail] {
            field.withUTF8 { bytes in
                withUnsafeBytes(of: UInt64(bytes.count).bigEndian) { input.append(contentsOf: $0) }
                input.append(contentsOf: bytes)
            }
        }
        return hexadecimal(SHA256.hash(data: input))
    }
}

/// Lower-case hexadecimal digits.
func hexadecimal(_ digest: SHA256.Digest) -> String {
    String(unsafeUninitializedCapacity: SHA256.Digest.byteCount * 2) { text in
        for (place, byte) in digest.enumerated() {
            text[place * 2] = digit(byte >> 4)
            text[place * 2 + 1] = digit(byte & 15)
        }
        return text.count
    }
}

private func digit(_ value: UInt8) -> UInt8 { value + (value < 10 ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10) }
