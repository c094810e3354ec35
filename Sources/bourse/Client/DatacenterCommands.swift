import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

struct DatacenterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "datacenter", abstract: "Where sellers deliver, and what is certified of it.",
        subcommands: [List.self, Show.self, Capacity.self, Certify.self, Accept.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List datacenters.")
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with { try await $0.items(of: ExchangeAPI.listDatacenters) }
            try output.list(items, columns: ["id", "name", "owner", "region", "zones", "address"]) {
                [$0.id.description, $0.name, $0.owner.description, $0.region, $0.zones.joined(separator: ","), $0.peerAddress]
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show a datacenter's certifications: law, claims, checks.")
        @Argument(help: "dc-…") var datacenter: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let detail = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.showDatacenter, path: ["datacenter": datacenter])
            }
            guard output.output == .table else { return try output.item(detail, []) }
            print("\(detail.datacenter.name), \(detail.datacenter.region), of \(detail.datacenter.owner)")
            let columns = ["product", "step", "valid", "until", "law", "claims", "what"]
            try output.list(detail.certifications, columns: columns, empty: "Nothing is certified.") { step in
                let failed = step.checks.filter { !$0.passed }.map { "\($0.name): \($0.detail)" }
                let what =
                    step.kind == .legal
                    ? "accepted by \(step.signatory ?? "")"
                    : failed.isEmpty ? "\(step.checks.count) checks" : failed.joined(separator: "; ")
                return [
                    step.product.description, step.kind.rawValue, step.valid ? "yes" : "no", timeText(step.expires), step.jurisdiction,
                    step.claims.joined(separator: ", "), what,
                ]
            }
        }
    }

    struct Capacity: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seller: what a datacenter has declared, and what of it is on offer and sold.")
        @Argument(help: "dc-…") var datacenter: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let items = try await Target.exchange.with {
                try await $0.items(of: ExchangeAPI.listDeclaredCapacity, path: ["datacenter": datacenter])
            }
            let columns = ["product", "declared", "offered", "sold", "forwards", "free"]
            try output.list(items, columns: columns, empty: "Nothing is declared.") {
                [$0.productName, "\($0.declared)", "\($0.offered)", "\($0.sold)", "\($0.forwardsPeak)", "\($0.free)"]
            }
        }
    }

    struct Certify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seller: have connect test its datacenter for a product and hand in the result.")
        @Option(help: "prd-…") var product: String
        @Option(help: "How long it is good for, 1 to 365 days.") var days: Int64?
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = CertifyProduct(product: try DatacenterCommand.product(product), validDays: days)
            let view = try await Target.connect.with { try await $0.call(ConnectAPI.certify, body: body, deadline: .seconds(60)) }
            let checks = view.checks.map { check -> (String, String?) in
                (check.name, (check.passed ? "passed: " : "FAILED: ") + check.detail)
            }
            try output.item(view, [("Valid", view.valid ? "until \(timeText(view.expires))" : "no, a check failed")] + checks)
            if !view.valid { throw ExitCode(1) }
        }
    }

    struct Accept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seller: accept a product's documents for a datacenter.",
            discussion: "Read them first: `bourse product versions -o json` names them, `bourse document get` shows one.")
        @Argument(help: "dc-…") var datacenter: String
        @Option(help: "prd-…") var product: String
        @Option(help: "SHA-256 of a document that is accepted; once for each of the product's.") var document: [String] = []
        @Option(help: "What the datacenter complies with, e.g. \"ISO 27001\"; may be given more than once.") var claim: [String] = []
        @Option(help: "Who accepts.") var signatory: String
        @OptionGroup var output: OutputOptions
        func run() async throws {
            let body = LegalAcceptance(
                product: try DatacenterCommand.product(product), documents: document, claims: claim, signatory: signatory)
            let view = try await Target.exchange.with {
                try await $0.call(ExchangeAPI.acceptLegally, path: ["datacenter": datacenter], body: body)
            }
            try output.item(view, [("Accepted", "\(view.documents.count) documents"), ("Valid until", timeText(view.expires))])
        }
    }

    fileprivate static func product(_ text: String) throws -> ProductID {
        guard let product = ProductID(text) else { throw ValidationError("'\(text)' is not a product; see `bourse product list`.") }
        return product
    }
}
