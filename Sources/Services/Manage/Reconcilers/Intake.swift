import CloudAPI
import Logging
import Primitives
import Rating
import ServiceKit
import Store

/// What connects say, taken into manage's records.
extension ManageCore {
    /// Takes in states and readings of a contract in one transaction with the positions they came from, so that none is missed or
    /// taken twice. Returns instances that connect runs although they ended here.
    func takeIn(_ views: [InstanceView], _ meters: MeterPage, of contract: ContractRecord, changes: Int64?) async throws -> [InstanceID] {
        let now = time.now()
        let isOver = contract.isOver(at: now)
        let chargeIDs = meters.readings.map { _ in ids.next(ChargeID.self) }
        return try await database.write { transaction in
            var orphans: [InstanceID] = []
            for view in views {
                guard var record = try InstanceRecord.load(view.id, in: transaction), record.contract == contract.id else { continue }
                if record.state == .terminated {
                    if view.state != .terminated, view.state != .shuttingDown { orphans.append(view.id) }
                    continue
                }
                // What is over here does not come back while the seller has not noticed yet.
                if isOver, view.state == .running || view.state == .pending { continue }
                record.apply(view, at: now)
                try record.save(in: transaction, at: now)
            }
            for (reading, charge) in zip(meters.readings, chargeIDs) where reading.contract == contract.id {
                guard Self.isSound(reading, under: contract.view, at: now) else {
                    logger.error(
                        "the seller's connect tells a meter reading that cannot be; it is not charged",
                        metadata: ["contract": "\(contract.id)", "instance": "\(reading.instance)", "sequence": "\(reading.sequence)"])
                    continue
                }
                try Self.rate(reading, under: contract.view, charge: charge, in: transaction)
            }
            if let changes { try Bookmark.save("changes/\(contract.id)", changes, in: transaction) }
            try Bookmark.save("meters/\(contract.id)", meters.latest, in: transaction)
            try Bookmark.save(Self.heardMark(contract.id), now.microseconds, in: transaction)
            return orphans
        }
    }

    /// No machine uses more than its contract holds, nor time that has not come. Thrown, one such reading would hold up all that is told
    /// after it.
    private static func isSound(_ reading: MeterReading, under contract: ContractView, at now: Instant) -> Bool {
        guard reading.period.end <= now + .hours(1), reading.resources.isNonNegative, let lots = reading.resources.lots(of: contract.lot)
        else { return false }
        return lots <= contract.lots
    }

    /// Charges one reading to the account of its instance. A reading that was charged before changes nothing.
    private static func rate(_ wire: MeterReading, under contract: ContractView, charge: ChargeID, in transaction: any WriteContext) throws
    {
        guard let instance = try InstanceRecord.load(wire.instance, in: transaction) else { return }
        var record =
            try MeterRecord.load(wire.instance, wire.contract, in: transaction)
            ?? MeterRecord(
                charge: charge, account: instance.account, currency: contract.currency, started: wire.period.start,
                meter: Meter(instance: wire.instance, contract: wire.contract))
        let reading = Reading(
            host: wire.host, sequence: wire.sequence, instance: wire.instance, contract: wire.contract, period: wire.period,
            resources: wire.resources)
        let tariff = Tariff(lot: contract.lot, price: contract.price, currency: contract.currency)
        guard let rated = try record.meter.rate(reading, tariff) else { return }
        try record.save(in: transaction)
        try transaction.execute(
            """
            INSERT INTO readings (host, sequence, instance, contract, period_start, period_end, lots, amount) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                SQLValue(wire.host), .integer(wire.sequence), SQLValue(wire.instance), SQLValue(wire.contract),
                SQLValue(rated.period.start),
                SQLValue(rated.period.end), .integer(rated.lots), .integer(rated.amount.microUnits),
            ])
    }
}

/// The end of a contract, as it shows on its machines.
extension ManageCore {
    /// Machines that are not at connect yet are sourced again; the others are being stopped by their seller, and say why.
    func enforceEnd(of contract: ContractRecord) async throws {
        let now = time.now()
        let view = contract.view
        let cause = view.reason.map { " (\($0))" } ?? ""
        let reason = StateReason(
            code: "Server.ContractEnded", message: "Server.ContractEnded: Contract \(view.id) ended at \(view.period.end)\(cause).")
        let affected = try await database.read { context in
            try InstanceRecord.ofContract(contract.id, in: context).filter {
                $0.step == .create || $0.action != nil || $0.isRunningOrStarting
            }
        }
        guard !affected.isEmpty else { return }
        try await database.write { transaction in
            for id in affected.map(\.id) {
                guard var record = try InstanceRecord.load(id, in: transaction), record.contract == contract.id else { continue }
                if record.step == .create {
                    record.step = .source
                    record.contract = nil
                    record.note = reason.message
                } else if record.action == .terminate {
                    record.terminate(record.reason ?? reason, at: now)
                } else {
                    record.action = nil
                    if record.isRunningOrStarting { record.enter(.stopping, reason, at: now) }
                }
                try record.save(in: transaction, at: now)
            }
        }
    }

    /// When the seller cannot be asked, its usual notice decides.
    func presumeStopped(_ contract: ContractRecord) async throws {
        let now = time.now()
        let before = now - .seconds(configuration.contractGraceSeconds)
        try await database.write { transaction in
            for var record in try InstanceRecord.ofContract(contract.id, in: transaction)
            where record.state == .stopping && record.stateChanged < before {
                record.enter(.stopped, record.reason, at: now)
                try record.save(in: transaction, at: now)
            }
        }
    }
}

extension InstanceRecord {
    fileprivate var isRunningOrStarting: Bool { step == nil && (state == .running || state == .pending) }
}
