import CloudAPI
import CloudClient
import Foundation
import Logging
import Primitives
import ServiceKit
import Testing

@Suite struct RoutingTests {
    private func raw(
        _ lab: Laboratory, _ method: CloudAPI.HTTPMethod, _ path: String, _ headers: [(name: String, value: String)] = [],
        body: String = "",
        token: String? = Laboratory.token
    ) async throws -> (status: Int, text: String) {
        let all = headers + (token.map { [(name: "authorization", value: "Bearer \($0)")] } ?? [])
        let answer = try await lab.call(try lab.client(token: nil)) {
            try await $0.exchange(method, path: path, headers: all, body: Data(body.utf8))
        }
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    @Test func refusalsHaveTheirStatusAndRule() async throws {
        try await Laboratory.run { lab in
            let cases: [(CloudAPI.HTTPMethod, String, String, String?, Int, String)] = [
                (.get, "/v1/nothing", "", Laboratory.token, 404, "http.not-found"),
                (.put, "/v1/notes/a", "{}", Laboratory.token, 405, "http.method"),
                (.get, "/v1/notes", "", nil, 401, "http.unauthorized"), (.get, "/v1/notes", "", "bt_wrong", 401, "http.unauthorized"),
                (.post, "/v1/notes/a", "{", Laboratory.token, 422, "request.body"),
                (.post, "/v1/notes/a", "{\"text\":1}", Laboratory.token, 422, "request.body"),
                (.post, "/v1/notes/a", "[]", Laboratory.token, 422, "request.body"),
                (.get, "/v1/notes?limit=0", "", Laboratory.token, 422, "request.query"),
                (.get, "/v1/notes?limit=x", "", Laboratory.token, 422, "request.query"),
                (.get, "/v1/notes?colour=red", "", Laboratory.token, 422, "request.query"),
                (.post, "/v1/notes/a", String(repeating: "x", count: 2 << 20), Laboratory.token, 413, "http.too-large"),
            ]
            for (method, path, body, token, status, rule) in cases {
                let answer = try await raw(lab, method, path, body: body, token: token)
                #expect(answer.status == status, "\(method) \(path): \(answer.text.prefix(200))")
                let problem = try WireJSON.decode(ProblemDocument.self, from: Data(answer.text.utf8))
                #expect(problem.rule == rule, "\(method) \(path)")
                #expect(problem.request != nil)
            }
        }
    }

    @Test func theSameKeyGivesTheSameAnswerAndAnotherBodyIsRefused() async throws {
        try await Laboratory.run { lab in
            try await lab.call(try lab.client()) { client in
                let first = try await client.call(NoteAPI.write, path: ["name": "a"], body: Note(text: "x"), idempotencyKey: "k")
                let again = try await client.call(NoteAPI.write, path: ["name": "a"], body: Note(text: "x"), idempotencyKey: "k")
                #expect(first == again)
                let fresh = try await client.call(NoteAPI.write, path: ["name": "a"], body: Note(text: "x"), idempotencyKey: "other")
                #expect(fresh.number != first.number)
                for (name, text) in [("a", "y"), ("b", "x")] {
                    let problem = try await lab.refusal {
                        _ = try await client.call(NoteAPI.write, path: ["name": name], body: Note(text: text), idempotencyKey: "k")
                    }
                    #expect(problem?.rule == "idempotency.reused")
                }
            }
        }
    }

    @Test func aRequestThatTakesTooLongIsEnded() async throws {
        try await Laboratory.run(deadline: .milliseconds(200)) { lab in
            let answer = try await raw(lab, .get, "/v1/slow")
            #expect(answer.status == 408)
        }
    }

    @Test func pagesNeedALoginAndEscapeWhatTheyShow() async throws {
        try await Laboratory.run { lab in
            #expect(try await raw(lab, .get, "/", token: nil).status == 303)
            let form = [(name: "content-type", value: "application/x-www-form-urlencoded")]
            #expect(try await raw(lab, .post, "/login", form, body: "token=wrong", token: nil).text.contains("not known"))
            #expect(try await raw(lab, .post, "/login", form, body: "token=\(Laboratory.token)", token: nil).status == 303)
            let page = try await raw(lab, .get, "/", [(name: "cookie", value: "a=b; bourse_session=\(Laboratory.token)")], token: nil)
            #expect(page.status == 200)
            #expect(page.text.contains("Lab &lt;home&gt;"))
            #expect(!page.text.contains("<script>"))
        }
    }

    @Test func healthAndMetricsAreOpen() async throws {
        try await Laboratory.run { lab in
            #expect(try await raw(lab, .get, "/healthz", token: nil).text == "ok\n")
            #expect(try await raw(lab, .get, "/readyz", token: nil).status == 200)
            let metrics = try await raw(lab, .get, "/metrics", token: nil).text
            #expect(metrics.hasSuffix("# EOF\n"))
            #expect(metrics.contains("bourse_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1"))
        }
    }

    @Test func plainHTTPStaysOnLoopback() async throws {
        try await Laboratory.run { lab in
            let router = ProgramRouter(database: lab.database, metrics: Metrics())
            #expect(throws: Refusal.self) {
                _ = try router.listen(host: "0.0.0.0", port: 0, security: .plain, logger: Logger(label: "x"))
            }
        }
    }
}
