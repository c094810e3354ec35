import CloudAPI
import Crypto
import Fleet
import Foundation
import Primitives
import Store

// An instance's place on a tenant's network. Its address there is in its specification from the moment it is accepted, and in a column of
// its own for as long as it holds it: two with the same address the tables refuse.
extension InstanceRecord {
    /// Of its host's own network; nil on a tenant's.
    var hostAddress: String? { spec.network == nil ? address : nil }

    func insertNetwork(in transaction: FleetTransaction) throws {
        guard let network = spec.network else { return }
        try transaction.execute(
            "UPDATE instances SET network = $2, network_address = $3 WHERE id = $1", [SQLValue(id), SQLValue(network), SQLValue(address)])
    }

    /// The address is free for others once it is terminated.
    func updateNetwork(in transaction: FleetTransaction) throws {
        guard spec.network != nil, !life.holdsDisk else { return }
        try transaction.execute("UPDATE instances SET network_address = NULL WHERE id = $1", [SQLValue(id)])
    }
}

extension InstanceLifecycle {
    /// The host it is on its way to, or has just come to.
    var heading: HostID? { move?.target }
}

extension Row {
    /// The same, of an instance's row.
    func heading() throws -> HostID? {
        struct Stored: Decodable { var target: HostID }
        return try optionalText("move").map { try WireJSON.decode(Stored.self, from: Data($0.utf8)).target }
    }
}

/// Whose an instance is, for hosts that keep tenants apart: a digest, so that no account can be made that counts as another's.
func ownerDigest(of buyer: ParticipantID, _ account: AccountID) -> String {
    let digest = SHA256.hash(data: Data("\(buyer)/\(account)".utf8))
    return digest.prefix(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
