/// The exchange's operations. Grouped by resource in the files beside this one.
public enum ExchangeAPI {}

extension ExchangeAPI {
    /// What happened to the caller's orders, trades and contracts, and to products and series.
    public static let changes = Endpoint(
        "listChanges", .get, "/v1/changes", "Change feed: what happened after a revision; waits for the next change when asked to.",
        access: [.operator, .participant, .manage, .connect], query: QueryParameter.feed, request: Empty.self, response: ChangePage.self)
}
