import CloudAPI
import Foundation
import Primitives
import Store

/// Connect's copies of the products that its contracts are of. What a product promises never changes.
enum ProductRecord {
    static func save(_ product: ProductView, in transaction: FleetTransaction) throws {
        try transaction.execute(
            "INSERT INTO products (id, definition) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            [SQLValue(product.id), .text(try WireJSON.text(product.definition))])
        transaction.note(product.id, product.definition)
    }

    static func all(in context: any ReadContext) throws -> [ProductID: ProductDefinition] {
        let rows = try context.query("SELECT id, definition FROM products")
        return Dictionary(
            uniqueKeysWithValues: try rows.map {
                (try $0.id("id"), try WireJSON.decode(ProductDefinition.self, from: Data(try $0.text("definition").utf8)))
            })
    }
}
