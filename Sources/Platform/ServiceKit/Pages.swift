import CloudAPI
import Foundation
import HTTPTypes
import Hummingbird
import Mustache
import NIOCore
import Primitives
import Store

/// A plain web page made of tables: what each program shows before its portal exists.
public struct Page: Sendable {
    public struct Table: Sendable {
        public var title: String
        public var columns: [String]
        public var rows: [[String]]
        /// Shown when there are no rows.
        public var empty: String
        public init(_ title: String, columns: [String], rows: [[String]], empty: String = "None yet.") {
            self.title = title
            self.columns = columns
            self.rows = rows
            self.empty = empty
        }
    }
    public var title: String
    public var facts: [(name: String, value: String)]
    public var tables: [Table]

    public init(title: String, facts: [(name: String, value: String)] = [], tables: [Table]) {
        self.title = title
        self.facts = facts
        self.tables = tables
    }
}

extension ProgramRouter {
    /// `GET /` behind a login form that takes a bearer token and keeps it in a cookie scripts cannot read.
    public func servePages(program: String, home: @escaping @Sendable (Principal) async throws -> Page) {
        raw(.get, "/") { _, context in
            guard context.principal != .anonymous else { return Session.redirect(to: "/login") }
            return Templates.page(program: program, principal: context.principal, try await home(context.principal))
        }
        raw(.get, "/login") { _, _ in Templates.login(program: program, message: nil) }
        let database = self.database
        raw(.post, "/login") { request, _ in
            let token = Session.formValue("token", in: String(decoding: try await Self.body(of: request), as: UTF8.self))
            guard let token, try await database.read({ try Tokens.principal(of: token, in: $0) }) != nil else {
                return Templates.login(program: program, message: "This token is not known here.")
            }
            return Session.redirect(to: "/", cookie: token)
        }
        raw(.post, "/logout") { _, _ in Session.redirect(to: "/login", cookie: "") }
    }
}

/// The cookie that keeps a browser logged in. `SameSite=Strict` keeps other sites from using it.
enum Session {
    static func token(_ request: Request) -> String? {
        guard let header = request.headers[.cookie] else { return nil }
        for pair in header.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if parts.count == 2, parts[0] == "bourse_session", !parts[1].isEmpty { return parts[1] }
        }
        return nil
    }

    static func redirect(to path: String, cookie: String? = nil) -> Response {
        var headers: HTTPFields = [.location: path]
        if let cookie {
            headers[.setCookie] = "bourse_session=\(cookie); Path=/; HttpOnly; SameSite=Strict" + (cookie.isEmpty ? "; Max-Age=0" : "")
        }
        return Response(status: .seeOther, headers: headers)
    }

    static func formValue(_ name: String, in body: String) -> String? {
        for pair in body.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0] == name else { continue }
            return parts[1].replacingOccurrences(of: "+", with: " ").removingPercentEncoding?.trimmingCharacters(in: .whitespaces)
        }
        return nil
    }
}

enum Templates {
    static func page(program: String, principal: Principal, _ page: Page) -> Response {
        let tables: [[String: Any]] = page.tables.map { table in
            [
                "title": table.title, "columns": table.columns, "rows": table.rows.map { ["cells": $0] }, "none": table.rows.isEmpty,
                "empty": table.empty, "count": table.rows.count,
            ]
        }
        let facts = page.facts.map { ["name": $0.name, "value": $0.value] }
        return html(
            pageTemplate,
            ["program": program, "title": page.title, "who": principal.name, "facts": facts, "tables": tables, "style": style])
    }

    static func login(program: String, message: String?) -> Response {
        html(loginTemplate, ["program": program, "message": message.map { [["text": $0]] } ?? [], "style": style])
    }

    private static func html(_ source: String, _ values: [String: Any]) -> Response {
        let text = (try? MustacheTemplate(string: source))?.render(values) ?? "template error"
        var response = ProgramRouter.text(text, type: "text/html; charset=utf-8")
        if let policy = HTTPField.Name("content-security-policy") {
            response.headers[policy] = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
        }
        response.headers[.cacheControl] = "no-store"
        return response
    }

    private static let pageTemplate = """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>{{title}} · Bourse {{program}}</title><style>{{{style}}}</style></head><body>
        <header><b>Bourse</b> <span class="program">{{program}}</span><span class="grow"></span><span>{{who}}</span>
        <form method="post" action="/logout"><button>Log out</button></form></header><main><h1>{{title}}</h1>
        <dl>{{#facts}}<div><dt>{{name}}</dt><dd>{{value}}</dd></div>{{/facts}}</dl>
        {{#tables}}<section><h2>{{title}} <small>{{count}}</small></h2>{{#none}}<p class="empty">{{empty}}</p>{{/none}}{{^none}}<div class="scroll"><table>
        <thead><tr>{{#columns}}<th>{{.}}</th>{{/columns}}</tr></thead><tbody>{{#rows}}<tr>{{#cells}}<td>{{.}}</td>{{/cells}}</tr>{{/rows}}</tbody></table></div>{{/none}}</section>
        {{/tables}}</main></body></html>
        """

    private static let loginTemplate = """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>Log in · Bourse {{program}}</title><style>{{{style}}}</style></head><body>
        <header><b>Bourse</b> <span class="program">{{program}}</span></header><main class="login"><h1>Log in</h1>
        {{#message}}<p class="bad" role="alert">{{text}}</p>{{/message}}<form method="post" action="/login"><label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" autofocus required><button>Log in</button></form>
        <p>Tokens are shown by <code>bourse env</code> on the machine that runs the cloud.</p></main></body></html>
        """

    private static let style = """
        body{margin:0;font:15px/1.5 system-ui,sans-serif;color:#1b2430;background:#f6f7f9}header{display:flex;gap:.75rem;align-items:center;padding:.6rem 1.2rem;background:#14202e;color:#fff}
        header form{margin:0}.grow{flex:1}.program{opacity:.75}main{max-width:80rem;margin:0 auto;padding:1rem 1.2rem}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}small{color:#667;font-weight:400}
        .scroll{overflow-x:auto;background:#fff;border:1px solid #dfe3e8;border-radius:6px}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .7rem;border-bottom:1px solid #eef0f3;white-space:nowrap;font-variant-numeric:tabular-nums}td:last-child{white-space:normal;min-width:10rem}
        th{font-weight:600;color:#556;font-size:.85rem}tr:last-child td{border-bottom:0}.empty{color:#667}dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem}dt{color:#667;font-size:.85rem}dd{margin:0;font-weight:600}
        button{font:inherit;padding:.25rem .8rem;border:1px solid #9aa5b1;border-radius:4px;background:#fff;cursor:pointer}.login{max-width:24rem}.login form{display:grid;gap:.5rem}input{font:inherit;padding:.4rem;border:1px solid #9aa5b1;border-radius:4px}.bad{color:#a11}
        """
}
