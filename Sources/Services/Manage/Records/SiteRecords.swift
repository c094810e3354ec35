import CloudAPI
import Primitives
import Store

/// Copies of what the exchange says about datacenters and products, and connects about their images.
enum SiteRecords {
    static func datacenters(in context: any ReadContext) throws -> [DatacenterView] {
        try context.query("SELECT body FROM datacenters ORDER BY id").map { try $0.json("body") }
    }

    static func save(_ datacenters: [DatacenterView], in transaction: any WriteContext) throws {
        try transaction.executeMany(
            """
            INSERT INTO datacenters (id, region, body) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET region = excluded.region, body = excluded.body
            """, try datacenters.map { [SQLValue($0.id), .text($0.region), .text(try WireJSON.text($0))] })
    }

    static func products(in context: any ReadContext) throws -> [ProductID: ProductView] {
        let views = try context.query("SELECT body FROM products").map { try $0.json("body", as: ProductView.self) }
        return Dictionary(views.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    static func save(_ products: [ProductView], in transaction: any WriteContext) throws {
        try transaction.executeMany(
            "INSERT INTO products (id, body) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            try products.map { [SQLValue($0.id), .text(try WireJSON.text($0))] })
    }

    /// Images by the datacenters that have them.
    static func images(in context: any ReadContext) throws -> [(image: ImageView, datacenter: DatacenterID)] {
        try context.query("SELECT body, datacenter FROM images ORDER BY id, datacenter").map {
            (try $0.json("body"), try $0.id("datacenter"))
        }
    }

    /// Replaces what is known of one datacenter's images.
    static func save(_ images: [ImageView], of datacenter: DatacenterID, in transaction: any WriteContext) throws {
        try transaction.execute("DELETE FROM images WHERE datacenter = $1", [SQLValue(datacenter)])
        try transaction.executeMany(
            "INSERT INTO images (id, datacenter, body) VALUES ($1, $2, $3)",
            try images.map { [SQLValue($0.id), SQLValue(datacenter), .text(try WireJSON.text($0))] })
    }
}
