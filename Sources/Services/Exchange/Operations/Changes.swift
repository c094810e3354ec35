import CloudAPI
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    /// What happened after a revision, as far as the caller may see it.
    func changes(_ call: Call<Empty>) async throws -> ChangePage {
        let topics = try Scope(call.principal).participant.map { [MarketFeed.everybody, $0.description] }
        let page = try await database.awaitChanges(topics: topics, after: try call.query.after(), wait: try call.query.wait())
        let shown = topics == nil ? page.changes.filter { $0.body != MarketFeed.copy } : page.changes
        return ChangePage(changes: shown.map(ChangeRecord.init), latest: page.latest)
    }
}

extension ChangeRecord {
    /// The store's kind is `contract.created`: what, and what happened to it.
    fileprivate init(_ change: Change) {
        let parts = change.kind.split(separator: ".", maxSplits: 1).map(String.init)
        self.init(
            revision: change.revision, topic: parts.first ?? change.kind, subject: change.subject, kind: parts.last ?? change.kind,
            at: change.at)
    }
}
