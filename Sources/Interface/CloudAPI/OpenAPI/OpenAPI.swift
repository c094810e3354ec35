public import Foundation

/// The OpenAPI 3.1 documents of the three programs, made from their endpoint values. `docs/api` keeps them.
public enum OpenAPI {
    /// One document for each program, by the program's name.
    public static func documents() throws -> [(name: String, json: Data)] {
        try programs.map { (name: $0.name, json: try OpenAPIDocument.of($0).json()) }
    }

    /// The document of any list of endpoints.
    public static func document(title: String, endpoints: [AnyEndpoint]) throws -> OpenAPIDocument {
        try OpenAPIDocument(title: title, summary: nil, servers: [], endpoints: endpoints)
    }

    struct Program {
        var name: String
        var title: String
        var summary: String
        /// Ports when no others are asked for.
        var publicPort: Int
        /// Nil when the program has no peer listener.
        var peerPort: Int?
        var endpoints: [AnyEndpoint]
    }

    static let programs = [
        Program(
            name: "exchange", title: "Bourse exchange",
            summary: "The marketplace: participants, products, orders, trades, contracts, certificates, ledger.", publicPort: 7400,
            peerPort: 7401,
            endpoints: ExchangeAPI.all),
        Program(
            name: "manage", title: "Bourse manage",
            summary:
                "The buyer's side: accounts, users, instances, charges. Its EC2 API has a listener of its own and is not described here.",
            publicPort: 7410, peerPort: nil, endpoints: ManageAPI.all),
        Program(
            name: "connect", title: "Bourse connect",
            summary: "The seller's side, the control hub of a datacenter: capacity, images, instances, meters, hosts.", publicPort: 7420,
            peerPort: 7421, endpoints: ConnectAPI.all),
    ]
}

extension ExchangeAPI {
    /// The OpenAPI document as JSON text.
    public static func openAPI() throws -> Data { try document(of: "exchange") }
}

extension ManageAPI {
    /// The OpenAPI document as JSON text.
    public static func openAPI() throws -> Data { try document(of: "manage") }
}

extension ConnectAPI {
    /// The OpenAPI document as JSON text.
    public static func openAPI() throws -> Data { try document(of: "connect") }
}

private func document(of name: String) throws -> Data {
    guard let program = OpenAPI.programs.first(where: { $0.name == name }) else { preconditionFailure("no program \(name)") }
    return try OpenAPIDocument.of(program).json()
}
