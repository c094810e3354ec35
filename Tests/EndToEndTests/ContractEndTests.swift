import CloudAPI
import Foundation
import Primitives
import Testing

/// A one-minute spot contract: when it ends, the connection ends, the machine stops and says why, and the money is right.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct ContractEndTests {
    @Test(.timeLimit(.minutes(12)))
    func aContractEnds() async throws {
        let cloud = try LocalCloud("end")
        do {
            try await story(cloud)
        } catch {
            await cloud.tearDown()
            throw error
        }
        await cloud.tearDown()
    }

    private func story(_ cloud: LocalCloud) async throws {
        _ = try await cloud.up(["--spot-period", "60"])
        let machine = try #require(try await cloud.instances().first)
        let contract = try #require(machine.contract)
        try await cloud.bourse(["contract", "stop", contract.description, "--reason", "the test is over"])
        try await cloud.until("the contract is settled", limit: .seconds(150)) {
            try await cloud.json(ContractView.self, ["contract", "show", contract.description]).state == .settled
        }
        try await cloud.until("the machine is stopped", limit: .seconds(90)) { try await cloud.instance(machine.id).state == .stopped }
        let stopped = try await cloud.instance(machine.id)
        #expect(stopped.reason?.code == "Server.ContractEnded")
        #expect(stopped.reason?.message.contains(contract.description) == true)
        try await connectRefuses(cloud, contract)
        try await moneyIsRight(cloud, contract)
    }

    /// The buyer's dead certificate opens nothing any more.
    private func connectRefuses(_ cloud: LocalCloud, _ contract: ContractID) async throws {
        let folder = cloud.home + "/manage/contracts/" + contract.description
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        let chain = try #require(files.first { $0.hasSuffix(".pem") && !$0.contains("key") })
        let key = try #require(files.first { $0.hasSuffix(".key") || $0.contains("key") })
        let answer = try await cloud.run([
            "curl", "-sSk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "--cert", "\(folder)/\(chain)", "--key", "\(folder)/\(key)",
            "https://127.0.0.1:7421/v1/capacity",
        ])
        #expect(answer.status != 0 || answer.output.hasSuffix("403"), "\(answer)")
    }

    private func moneyIsRight(_ cloud: LocalCloud, _ id: ContractID) async throws {
        let contract = try await cloud.json(ContractView.self, ["contract", "show", id.description])
        #expect(contract.settledMicroUnits > 0)
        let postings = try await cloud.json([PostingView].self, ["posting", "list", "--contract", id.description])
        var net: [ParticipantID: Int64] = [:]
        for posting in postings {
            #expect(posting.entries.reduce(0) { $0 + $1.amount.microUnits } == 0, "posting \(posting.id)")
            for entry in posting.entries { if let party = entry.participant { net[party, default: 0] += entry.amount.microUnits } }
        }
        #expect(net[contract.buyer] == -contract.settledMicroUnits)
        #expect(net[contract.seller] == contract.settledMicroUnits)
    }
}
