import CloudAPI
import Foundation
import Primitives
import Testing

/// A one-minute spot contract: when it ends, the connection ends, the machine stops and says why, and the money is right.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct ContractEndTests {
    @Test(.timeLimit(.minutes(12)))
    func aContractEnds() async throws {
        try await LocalCloud.with("end") { try await story($0) }
    }

    private func story(_ cloud: LocalCloud) async throws {
        _ = try await cloud.up(["--spot-period", "60"])
        let machine = try #require(try await cloud.instances().first)
        let contract = try #require(machine.contract)
        let credential = try keepCredential(of: contract, in: cloud)
        #expect(try await capacity(cloud, credential).output == "200", "while the contract runs its certificate opens connect")
        try await cloud.bourse(["contract", "stop", contract.description, "--reason", "the test is over"])
        try await cloud.until("the contract is settled", limit: .seconds(150)) {
            try await cloud.json(ContractView.self, ["contract", "show", contract.description]).state == .settled
        }
        try await cloud.until("the machine is stopped", limit: .seconds(90)) { try await cloud.instance(machine.id).state == .stopped }
        let stopped = try await cloud.instance(machine.id)
        #expect(stopped.reason?.code == "Server.ContractEnded")
        #expect(stopped.reason?.message.contains(contract.description) == true)
        try await connectRefuses(cloud, credential)
        try await moneyIsRight(cloud, contract)
    }

    /// A copy of the buyer's certificate and key, as a thief would keep one: manage deletes them when the contract is over.
    private func keepCredential(of contract: ContractID, in cloud: LocalCloud) throws -> String {
        let copy = cloud.home + "/kept"
        try FileManager.default.copyItem(atPath: cloud.home + "/manage/contracts/" + contract.description, toPath: copy)
        return copy
    }

    private func capacity(_ cloud: LocalCloud, _ credential: String) async throws -> (status: Int32, output: String) {
        try await cloud.run([
            "curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--cert", credential + "/identity.pem", "--key",
            credential + "/identity.key", "https://127.0.0.1:7421/v1/capacity",
        ])
    }

    private func connectRefuses(_ cloud: LocalCloud, _ credential: String) async throws {
        let answer = try await capacity(cloud, credential)
        #expect(answer.status != 0 || answer.output == "403", "\(answer)")
    }

    private func moneyIsRight(_ cloud: LocalCloud, _ id: ContractID) async throws {
        let contract = try await cloud.json(ContractView.self, ["contract", "show", id.description])
        #expect(contract.settledMicroUnits > 0)
        let postings = try await cloud.json([PostingView].self, ["ledger", "postings", "--contract", id.description])
        var net: [ParticipantID: Int64] = [:]
        for posting in postings {
            #expect(posting.entries.reduce(0) { $0 + $1.amount.microUnits } == 0, "posting \(posting.id)")
            for entry in posting.entries { if let party = entry.participant { net[party, default: 0] += entry.amount.microUnits } }
        }
        #expect(net[contract.buyer] == -contract.settledMicroUnits)
        #expect(net[contract.seller] == contract.settledMicroUnits)
    }
}
