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

    func offering(_ name: String) -> Offering? { configuration.offerings.first { $0.name == name } }

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
