import Foundation
import Synchronization

/// Counters, gauges and latency histograms of one program, rendered as OpenMetrics text.
public final class Metrics: Sendable {
    private struct Series: Hashable {
        let name: String
        let labels: [String: String]
        /// As they are written between braces.
        var text: String { Metrics.text(labels) }
    }
    private struct Request: Hashable {
        let route: String
        let method: String
        let status: Int
    }
    private struct Histogram {
        var counts = [Int](repeating: 0, count: Metrics.bounds.count + 1)
        var sum = 0.0

        mutating func add(_ seconds: Double) {
            counts[Metrics.bounds.firstIndex { seconds <= $0 } ?? Metrics.bounds.count] += 1
            sum += seconds
        }

        mutating func add(_ other: Histogram) {
            for index in counts.indices { counts[index] += other.counts[index] }
            sum += other.sum
        }
    }
    private struct State {
        var counters: [Series: Int] = [:]
        var gauges: [Series: Double] = [:]
        var histograms: [Series: Histogram] = [:]
        /// Apart, because there is one for each request: their labels are made into text when somebody asks.
        var requests: [Request: Histogram] = [:]

        /// The requests among the counters and histograms.
        var withRequests: State {
            var state = self
            for (request, histogram) in requests {
                var labels = ["route": request.route, "method": request.method]
                state.histograms[Series(name: "bourse_http_request_seconds", labels: labels), default: Histogram()].add(histogram)
                labels["status"] = String(request.status)
                state.counters[Series(name: "bourse_http_requests", labels: labels)] = histogram.counts.reduce(0, +)
            }
            return state
        }
    }
    /// Upper bounds of latency buckets in seconds.
    private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private let state = Mutex(State())

    public init() {}

    public func count(_ name: String, _ labels: [String: String] = [:], by amount: Int = 1) {
        state.withLock { $0.counters[Series(name: name, labels: labels), default: 0] += amount }
    }

    public func set(_ name: String, _ labels: [String: String] = [:], to value: Double) {
        state.withLock { $0.gauges[Series(name: name, labels: labels)] = value }
    }

    public func observe(_ name: String, _ labels: [String: String] = [:], seconds: Double) {
        state.withLock { $0.histograms[Series(name: name, labels: labels), default: Histogram()].add(seconds) }
    }

    func observeRequest(route: String, method: String, status: Int, took: Duration) {
        let (seconds, attoseconds) = took.components
        let request = Request(route: route, method: method, status: status)
        state.withLock { $0.requests[request, default: Histogram()].add(Double(seconds) + Double(attoseconds) / 1e18) }
    }

    /// The two text forms scrapers ask for.
    public enum Form: String, Sendable {
        case openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        /// Prometheus' own, older form.
        case prometheus = "text/plain; version=0.0.4; charset=utf-8"
    }

    public func render(_ form: Form = .openMetrics) -> String {
        let state = self.state.withLock { $0 }.withRequests
        var lines: [String] = []
        for (name, series) in Dictionary(grouping: state.counters, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            // In the older form the family has the name of its samples.
            lines += Self.head(name, "counter", suffix: form == .prometheus ? "_total" : "")
            lines += series.map { "\(name)_total\(Self.braces($0.key.text)) \($0.value)" }.sorted()
        }
        for (name, series) in Dictionary(grouping: state.gauges, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            lines += Self.head(name, "gauge")
            lines += series.map { "\(name)\(Self.braces($0.key.text)) \($0.value)" }.sorted()
        }
        for (name, series) in Dictionary(grouping: state.histograms, by: \.key.name).sorted(by: { $0.key < $1.key }) {
            lines += Self.head(name, "histogram")
            for (key, histogram) in series.sorted(by: { $0.key.text < $1.key.text }) {
                lines += Self.lines(name, key.text, histogram)
            }
        }
        return (lines + (form == .openMetrics ? ["# EOF", ""] : [""])).joined(separator: "\n")
    }

    /// What the families count, for people; a family that is not here says its name.
    private static let help = [
        "bourse_capacity_reserved_lots": "Lots set aside, by product and what they are for.",
        "bourse_capacity_short_lots": "Lots set aside that no host that is up has room for, by product.",
        "bourse_capacity_withdrawn_lots": "Lots on offer withdrawn because hosts have no room for them, by product.",
        "bourse_http_requests": "Requests answered, by route, method and status.",
        "bourse_http_request_seconds": "Time from a request's arrival to its answer, by route and method.",
        "bourse_market_batches": "Batches of market commands committed.",
        "bourse_market_commands": "Market commands executed.",
        "bourse_stream_readers_dropped": "Readers of market data streams that were dropped because they read too slowly.",
        "bourse_node_failed_steps": "Steps towards an instance's wanted state that failed, by rule.",
        "bourse_node_metadata_requests": "Requests of guests to the metadata service, by status.",
    ]

    private static func head(_ name: String, _ type: String, suffix: String = "") -> [String] {
        ["# HELP \(name)\(suffix) \(help[name] ?? name.replacing("_", with: " "))", "# TYPE \(name)\(suffix) \(type)"]
    }

    private static func lines(_ name: String, _ labels: String, _ histogram: Histogram) -> [String] {
        var lines: [String] = []
        var total = 0
        for (index, count) in histogram.counts.enumerated() {
            total += count
            let bound = index < bounds.count ? "\(bounds[index])" : "+Inf"
            lines.append("\(name)_bucket{\(labels.isEmpty ? "" : labels + ",")le=\"\(bound)\"} \(total)")
        }
        return lines + ["\(name)_sum\(braces(labels)) \(histogram.sum)", "\(name)_count\(braces(labels)) \(total)"]
    }

    private static func braces(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    private static func text(_ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { name, value in
            let escaped = value.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            return "\(name)=\"\(escaped.replacingOccurrences(of: "\n", with: "\\n"))\""
        }.joined(separator: ",")
    }
}
