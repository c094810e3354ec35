import CloudAPI
import Primitives
import Store

// Refusals for what is not there, with what there is.
extension Refusal {
    static func unknownPod(_ name: String, in context: any ReadContext) throws -> Refusal {
        let names = try context.query("SELECT name FROM pods WHERE removed IS NULL").map { try $0.text("name") }
        return Refusal(
            "pod.unknown", .notFound, "There is no pod '\(name)' here.", facts: ["pod": .text(name)],
            nearest: NearestNames.text(names, to: name) ?? "a pod that is declared first: `bourse pod create`")
    }

    static func unknownRack(_ name: String, in context: any ReadContext) throws -> Refusal {
        let names = try context.query("SELECT name FROM racks").map { try $0.text("name") }
        return Refusal(
            "rack.unknown", .notFound, "There is no rack '\(name)' here.", facts: ["rack": .text(name)],
            nearest: NearestNames.text(names, to: name) ?? "a rack that is declared first: `bourse rack create`")
    }

    static func unknownImage(_ id: ImageID, in context: any ReadContext) throws -> Refusal {
        let known = try context.query("SELECT id FROM images ORDER BY created DESC LIMIT 100").map { try $0.text("id") }
        return Refusal(
            "image.unknown", .notFound, "There is no image \(id) in this datacenter.", facts: ["image": .text(id.description)],
            nearest: NearestNames.text(known, to: id.description) ?? "an image that is imported first: `bourse image import`")
    }

    /// - Parameter whose: e.g. `under this contract`.
    static func unknownInstance(_ id: InstanceID, _ whose: String) -> Refusal {
        Refusal(
            "instance.unknown", .notFound, "There is no instance \(id) \(whose).", facts: ["instance": .text(id.description)],
            nearest: "one that GET /v1/instances shows")
    }

    static func unknownVolume(_ id: VolumeID, _ whose: String) -> Refusal {
        Refusal(
            "volume.unknown", .notFound, "There is no volume \(id) \(whose).", facts: ["volume": .text(id.description)],
            nearest: "one that GET /v1/volumes shows")
    }

    static func unknownContract(_ id: ContractID) -> Refusal {
        Refusal(
            "contract.unknown", .notFound, "There is no contract \(id) of yours here.", facts: ["contract": .text(id.description)],
            nearest: "the contract of the certificate that is presented")
    }

    /// An instance was to come to a host whose own network is full.
    static func noAddress(on host: HostID, named name: String?) -> Refusal {
        Refusal(
            "network.addresses", .capacity, "Host \(name ?? host.description) has no free address in its network.",
            facts: ["host": .text(host.description)],
            nearest: "the same once an instance there is terminated, or on a network of the buyer's own")
    }

    static let noDatacenter = Refusal(
        "datacenter.identity", .unavailable, "This connect has no datacenter identity.",
        nearest: "the same at a connect that was enrolled as one of a datacenter")

    static func unknownProduct(_ id: ProductID, among products: [ProductView]) -> Refusal {
        Refusal(
            "product.unknown", .notFound, "There is no product \(id) on the exchange.", facts: ["product": .text(id.description)],
            nearest: NearestNames.text(products.map(\.id.description), to: id.description) ?? "one of `bourse product list`")
    }

    static func cursor(_ text: String) -> Refusal {
        Refusal(
            "request.cursor", .invalid, "The cursor '\(text.prefix(64))' is not the `next` of a page of this list.",
            facts: ["cursor": .text(String(text.prefix(64)))], nearest: "the `next` of the page before, or no cursor for the first page")
    }
}

extension ConnectCore {
    func requirePod(_ name: String) async throws {
        try await database.read { context in
            guard try context.queryOne("SELECT id FROM pods WHERE name = $1 AND removed IS NULL", [.text(name)]) == nil else { return }
            throw try Refusal.unknownPod(name, in: context)
        }
    }
}
