import CloudAPI
public import HTTPTypes
public import Hummingbird
import NIOCore
import Primitives

extension ProgramRouter {
    /// `/healthz` (the process lives), `/readyz` (it can do its work; says what is missing) and `/metrics` (OpenMetrics,
    /// or Prometheus' older text for those who ask for plain text).
    public func serveHealth(metrics: Metrics, ready: @escaping @Sendable () async -> [String]) {
        raw(.get, "/healthz") { _, _ in Self.text("ok\n") }
        raw(.get, "/readyz") { _, _ in
            let missing = await ready()
            return missing.isEmpty ? Self.text("ready\n") : Self.text(missing.joined(separator: "\n") + "\n", status: .serviceUnavailable)
        }
        raw(.get, "/metrics") { request, _ in
            let wanted = request.headers[.accept] ?? ""
            let form: Metrics.Form = wanted.contains("openmetrics") || !wanted.contains("text/plain") ? .openMetrics : .prometheus
            return Self.text(metrics.render(form), type: form.rawValue)
        }
    }

    public static func text(_ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8") -> Response {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
