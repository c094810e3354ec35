import Foundation

/// How many operations a second the books take, on one core: one book, and a thousand books; the best of three runs.
struct MatchingBench {
    private let operations = 5_000_000
    private let runs = 3

    func measure() -> [String: Double] {
        [
            "one_book_ops_per_s": best(of: MatchingStream(seed: 1, books: 1, resting: 20_000, operations: operations)),
            "thousand_books_ops_per_s": best(of: MatchingStream(seed: 2, books: 1_000, resting: 200_000, operations: operations)),
        ]
    }

    private func best(of stream: MatchingStream) -> Double {
        (0..<runs).map { _ in Double(stream.operations.count) / Self.run(stream).seconds }.max() ?? 0
    }

    struct Result {
        var operations: Int
        var seconds: Double
        var trades: Int
        var volume: Int64

        var json: String {
            "{\"operations\": \(operations), \"seconds\": \(seconds), \"trades\": \(trades), \"volume\": \(volume)}"
        }
    }

    static func run(_ stream: MatchingStream) -> Result {
        var engine = MatchingEngine(books: stream.books, capacity: max(1_024, stream.filling.count * 5 / 4))
        engine.run(stream.filling)
        let before = (engine.trades, engine.volume)
        let start = ContinuousClock.now
        engine.run(stream.operations)
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return Result(
            operations: stream.operations.count, seconds: Double(seconds) + Double(attoseconds) / 1e18, trades: engine.trades - before.0,
            volume: engine.volume - before.1)
    }
}
