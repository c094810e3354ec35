import CloudAPI
public import HTTPTypes
public import Hummingbird
import NIOCore
import Primitives

extension ProgramRouter {
    /// `/healthz` (the process lives), `/readyz` (it can do its work; says what is missing) and `/metrics` (OpenMetrics).
    public func serveHealth(metrics: Metrics, ready: @escaping @Sendable () async -> [String]) {
        raw(.get, "/healthz") { _, _ in Self.text("ok\n") }
        raw(.get, "/readyz") { _, _ in
            let missing = await ready()
            return missing.isEmpty ? Self.text("ready\n") : Self.text(missing.joined(separator: "\n") + "\n", status: .serviceUnavailable)
        }
        raw(.get, "/metrics") { _, _ in
            Self.text(metrics.render(), type: "application/openmetrics-text; version=1.0.0; charset=utf-8")
        }
    }

    public static func text(_ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8") -> Response {
        Response(status: status, headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
