import CloudAPI
import Primitives

/// A statement as CSV (RFC 4180): a row for the opening of each account, one for each line, one for the closing of each account.
enum StatementCSV {
    private static let columns = [
        "day", "participant", "account", "time", "posting", "reason", "counter accounts", "contract", "order", "reference", "amount",
        "balance",
        "currency",
    ]

    static func text(_ statement: StatementView) -> String {
        let opening = statement.accounts.map { edge("opening", $0.account, $0.openingMicroUnits) }
        let closing = statement.accounts.map { edge("closing", $0.account, $0.closingMicroUnits) }
        let rows = opening + statement.lines.map(line) + closing
        let ends = [cell(statement.day), cell(statement.participant.description)]
        return ([columns.map(cell)] + rows.map { ends + $0 + [cell(statement.currency.code)] }).map { $0.joined(separator: ",") + "\r\n" }
            .joined()
    }

    private static func edge(_ reason: String, _ account: String, _ balance: Int64) -> [String] {
        [cell(account), "", "", cell(reason), "", "", "", "", "", decimalText(microUnits: balance)]
    }

    private static func line(_ line: StatementLine) -> [String] {
        let counter = line.counterAccounts.map { "\($0.participant?.description ?? "exchange") \($0.account)" }
        return [
            cell(line.account), cell(line.at.description), cell(line.posting.description), cell(line.reason),
            cell(counter.joined(separator: "; ")), cell(line.contract?.description ?? ""), cell(line.order?.description ?? ""),
            cell(line.reference ?? ""), decimalText(microUnits: line.amountMicroUnits), decimalText(microUnits: line.balanceMicroUnits),
        ]
    }

    /// Text in quotes where needed. What a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV injection).
    static func cell(_ text: String) -> String {
        let isFormula = text.unicodeScalars.first.map { "=+-@\t\r\n＝＋－＠".unicodeScalars.contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        guard safe.unicodeScalars.contains(where: { ",\"\r\n".unicodeScalars.contains($0) }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }
}
