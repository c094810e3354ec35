import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case table, json }

struct OutputOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "table for people, json for programs")
    var output: OutputFormat = .table

    /// Prints items as a table, or as a JSON array.
    func list<Item: Encodable>(_ items: [Item], columns: [String], empty: String = "Nothing yet.", _ row: (Item) -> [String]) throws {
        switch output {
        case .json: try printJSON(items)
        case .table: items.isEmpty ? print(empty) : print(Table.text(columns, items.map(row)))
        }
    }

    /// Prints one item as lines of name and value, or as a JSON object.
    func item<Item: Encodable>(_ item: Item, _ rows: [(String, String?)]) throws {
        switch output {
        case .json: try printJSON(item)
        case .table:
            let width = rows.map(\.0.count).max() ?? 0
            for (name, value) in rows { if let value { print(name.padding(toLength: width + 2, withPad: " ", startingAt: 0) + value) } }
        }
    }

    private func printJSON(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

enum Table {
    /// Columns as wide as their widest cell, two spaces apart; columns of numbers are flush right.
    static func text(_ columns: [String], _ rows: [[String]]) -> String {
        let all = [columns.map { $0.uppercased() }] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let numeric = columns.indices.map { column in
            !rows.isEmpty
                && rows.allSatisfy { row in
                    row[column].isEmpty || row[column].first.map { $0.isNumber || $0 == "-" } == true && Double(row[column]) != nil
                }
        }
        return all.map { row in
            row.enumerated().map { column, cell in
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return numeric[column] ? padding + cell : cell + padding
            }.joined(separator: "  ").trimmingTrailingSpaces()
        }.joined(separator: "\n")
    }
}

extension String {
    fileprivate func trimmingTrailingSpaces() -> String {
        var text = Substring(self)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}

/// Micro-units per lot-hour as people read it.
func priceText(_ microUnits: Int64?) -> String { microUnits.map { decimalText(microUnits: $0) } ?? "-" }

/// `2026-01-31 12:00:00`, without fractions; all times are UTC.
func timeText(_ instant: Instant?) -> String {
    guard let instant else { return "-" }
    return String(instant.floored(to: .seconds(1)).description.dropLast()).replacingOccurrences(of: "T", with: " ")
}

/// Turns errors of a call into what a person at a terminal needs.
func explained<T>(_ body: () async throws -> T) async throws -> T {
    do {
        return try await body()
    } catch let problem as ProblemDocument {
        throw Failure(text: problem.detail + (problem.nearest.map { "\nNearest thing possible: \($0)" } ?? "") + "\n(\(problem.rule))")
    } catch let refusal as Refusal {
        throw Failure(text: refusal.message + (refusal.nearest.map { "\nNearest thing possible: \($0)" } ?? "") + "\n(\(refusal.rule))")
    } catch let error as ClientError {
        throw Failure(text: error.description + "\n" + hint(for: error))
    }
}

struct Failure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

private func hint(for error: ClientError) -> String {
    error.description.contains("CERTIFICATE_VERIFY_FAILED")
        ? "Its certificate is not trusted here: set BOURSE_CA to a file with the exchange's root certificate, which GET /v1/authority shows."
        : "Is it running? `bourse status` tells."
}
