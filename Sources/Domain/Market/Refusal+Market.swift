import Primitives

// The refusals more than one place of the market gives. Names of rules are stable.

extension Refusal {
    static func timeBackwards(_ at: Instant, clock: Instant) -> Refusal {
        Refusal(
            "market.time-backwards", .unavailable, "The command is from \(at), before the market's clock, \(clock).",
            facts: ["at": .text("\(at)"), "clock": .text("\(clock)")], nearest: "\(clock)")
    }

    static func clockBehind(due: Instant, at: Instant) -> Refusal {
        Refusal(
            "market.clock-behind", .unavailable, "At \(at) the market has not yet done what was due at \(due).",
            facts: ["at": .text("\(at)"), "due": .text("\(due)")], nearest: "a tick first")
    }

    static func unknown(_ what: String, _ id: some CustomStringConvertible) -> Refusal {
        Refusal("market.unknown-\(what)", .notFound, "There is no \(what) \(id).", facts: [what: .text(id.description)])
    }

    static func overdrawn(_ account: LedgerAccount, _ range: ClosedRange<Int64>, balance: Int64, amount: Int64) -> Refusal {
        let currency = account.currency
        let room =
            amount < 0 ? balance.subtractingReportingOverflow(range.lowerBound) : range.upperBound.subtractingReportingOverflow(balance)
        return Refusal(
            "market.balance", .funds,
            "The account \(account.kind.rawValue) has \(Money(microUnits: balance, currency)) and cannot take \(Money(microUnits: amount, currency)).",
            facts: ["balance": .number(balance), "amount": .number(amount)],
            nearest: "\(Money(microUnits: room.overflow ? .max : room.partialValue, currency))")
    }

    /// - Parameter credit: how far below zero the cash may go.
    static func cashShort(_ cash: Money, credit: Int64 = 0, needed: Money, for what: String, nearest: String?) -> Refusal {
        let also = credit == 0 ? "" : " and the credit line \(Money(microUnits: credit, cash.currency))"
        return Refusal(
            "market.cash", .funds, "\(what) needs \(needed); the free cash is \(cash)\(also).",
            facts: [
                "needed": .number(needed.microUnits), "cash": .number(cash.microUnits), "credit": .number(credit),
                "currency": .text(cash.currency.code),
            ], nearest: nearest)
    }

    static func wrongCurrency(_ given: Currency, expected: Currency, _ whose: String) -> Refusal {
        Refusal(
            "market.currency", .invalid, "\(whose) is in \(expected), not in \(given).",
            facts: ["currency": .text(given.code), "expected": .text(expected.code)], nearest: "\(expected)")
    }

    static func nameTaken(_ name: String, by what: String) -> Refusal {
        Refusal(
            "market.name-taken", .conflict, "There is already a \(what) called '\(name)'.", facts: ["name": .text(name)],
            nearest: "another name")
    }
}

/// Refuses names that are empty, longer than 100 characters, or contain characters that do not print.
func checkName(_ name: String, _ what: String) throws(Refusal) {
    guard (1...100).contains(name.unicodeScalars.count), name.unicodeScalars.allSatisfy({ $0.properties.isPrintable }), name.first != " ",
        name.last != " "
    else {
        throw Refusal(
            "market.name", .invalid,
            "A \(what) has 1 to 100 printable characters and no blank at either end; this one has \(name.unicodeScalars.count).",
            facts: ["length": .number(Int64(name.unicodeScalars.count))])
    }
}

/// Refuses notes and references that are too long to keep or would not print.
func checkNote(_ text: String, _ what: String) throws(Refusal) {
    guard text.unicodeScalars.count <= 500, text.unicodeScalars.allSatisfy({ $0.properties.isPrintable }) else {
        throw Refusal(
            "market.note", .invalid, "A \(what) has at most 500 printable characters; this one has \(text.unicodeScalars.count).",
            facts: ["length": .number(Int64(text.unicodeScalars.count)), "largest": 500], nearest: "500 characters")
    }
}

func checkRange(_ value: Int64, _ range: ClosedRange<Int64>, _ what: String, rule: String) throws(Refusal) {
    guard range.contains(value) else {
        throw Refusal(
            rule, .invalid, "The \(what) is \(value); it must be from \(range.lowerBound) to \(range.upperBound).",
            facts: ["value": .number(value), "smallest": .number(range.lowerBound), "largest": .number(range.upperBound)],
            nearest: "\(min(max(value, range.lowerBound), range.upperBound))")
    }
}

extension Unicode.Scalar.Properties {
    fileprivate var isPrintable: Bool {
        switch generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}
