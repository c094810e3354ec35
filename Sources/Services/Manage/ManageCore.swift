import CloudAPI
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

/// What every operation of a manage works with.
struct ManageCore: Sendable {
    let configuration: ManageConfiguration
    let database: any Database
    let identity: ProgramIdentity
    let connects: ConnectClients
    let time: any TimeSource
    let ids: any IDSource
    let logger: Logger

    /// Topics of the change feed that loops of this program wait for.
    static let instanceTopic = "instance"
    static let volumeTopic = "volume"
    static let contractTopic = "contract"

    /// Those there are: the configuration's, and the classes of bare metal among the products of its region, under their names.
    func offerings(in context: any ReadContext) throws -> [Offering] {
        let metal = try SiteRecords.products(in: context).values.map(\.definition)
            .filter { $0.region == configuration.region && $0.hosting == .metal }
            .sorted { ($0.unitClass, $0.name) < ($1.unitClass, $1.name) }
        return metal.reduce(into: configuration.offerings) { offerings, product in
            if !offerings.contains(where: { $0.name == product.unitClass }) { offerings.append(Offering(wholeHost: product)) }
        }
    }

    func randomBytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count { withUnsafeBytes(of: ids.nextBits()) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }
}

extension Row {
    /// A JSON column.
    func json<Value: Decodable>(_ column: String, as type: Value.Type = Value.self) throws -> Value {
        try WireJSON.decode(type, from: Data(try text(column).utf8))
    }
}
