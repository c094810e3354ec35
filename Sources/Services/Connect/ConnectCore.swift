import CloudAPI
import Foundation
import Logging
import Primitives
import ServiceKit
import Store

/// What every operation of a connect works with.
struct ConnectCore: Sendable {
    let configuration: ConnectConfiguration
    let database: any Database
    let identity: ProgramIdentity
    let time: any TimeSource
    let ids: any IDSource
    let logger: Logger
    let metrics: Metrics
    let capacity = CapacityDesk()
    let memory = FleetMemory()
    let bell = IntentBell()
    let presence = HostPresence()
    let loads = LoadBook()
    let leases = LeaseDesk()
    let manifests = ImageManifests()
    let started: Instant

    var datacenter: DatacenterID? { DatacenterID(identity.record.id) }
    var imageFolder: String { configuration.dataDirectory + "/images" }

    /// Sizes of instances, as the audit trail has them.
    static let resourceTexts = EncodedTexts<Resources>()
    static func contractTopic(_ contract: ContractID) -> String { "contract:\(contract)" }
    static let capacityTopic = "capacity"
    static func hostTopic(_ host: HostID) -> String { "host:\(host)" }

    func json<T: Decodable>(_ type: T.Type, _ text: String) throws -> T { try WireJSON.decode(type, from: Data(text.utf8)) }
}
