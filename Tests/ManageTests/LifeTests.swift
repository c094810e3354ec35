import CloudAPI
import EC2
import Foundation
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct LifeTests {
    private func running(_ manage: ManageFixture) async throws -> InstanceID {
        manage.exchange.offer((36_000, 9))
        let id = try #require(try await manage.run().first)
        try await eventually("it runs") { try await manage.state(id) == .running }
        return id
    }

    @Test func stopStartRebootTerminate() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            let stop = try await manage.ec2("StopInstances", ("InstanceId.1", id.description))
            let change = stop.document["instancesSet"]?.items.first
            #expect(change?["previousState"]?["name"]?.text == "running")
            #expect(change?["currentState"]?["name"]?.text == "stopping")
            try await eventually("it is stopped") { try await manage.state(id) == .stopped }
            #expect(errorCode(try await manage.ec2("RebootInstances", ("InstanceId.1", id.description))) == "IncorrectInstanceState")
            _ = try await manage.ec2("StartInstances", ("InstanceId.1", id.description))
            try await eventually("it runs again") { try await manage.state(id) == .running }
            #expect(try await manage.ec2("RebootInstances", ("InstanceId.1", id.description)).status == 200)
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", id.description))
            try await eventually("it is gone") { try await manage.state(id) == .terminated }
            #expect(try await manage.ec2("TerminateInstances", ("InstanceId.1", id.description)).status == 200)
            #expect(errorCode(try await manage.ec2("StartInstances", ("InstanceId.1", id.description))) == "IncorrectInstanceState")
        }
    }

    @Test func anOldAnswerDoesNotUndoWhatTheFeedTold() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            manage.connect.state.withLock { $0.answersLate = true }
            _ = try await manage.ec2("StopInstances", ("InstanceId.1", id.description))
            try await eventually("it is stopped") { try await manage.state(id) == .stopped }
        }
    }

    @Test func whatHappensAtTheSellerShowsHere() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            manage.connect.update(
                id, .stopped, StateReason(code: "Client.InstanceInitiatedShutdown", message: "The guest shut itself down."))
            try await eventually("manage knows") { try await manage.state(id) == .stopped }
            #expect(try await manage.instance(id).reason?.code == "Client.InstanceInitiatedShutdown")
        }
    }

    @Test func readingsBecomeChargesToTheMicroUnit() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            // 36000 micro-units per lot-hour are 10 a second.
            manage.connect.measure(id, seconds: 0..<7)
            try await eventually("the first is charged") { try await manage.instance(id).charged.microUnits == 70 }
            await manage.kill()
            manage.connect.measure(id, seconds: 7..<60)
            try await manage.start()
            manage.connect.measure(id, seconds: 50..<100)
            try await eventually("all are charged, once") { try await manage.instance(id).charged.microUnits == 1_000 }
            let charges = try await manage.call(ManageAPI.listCharges, body: Empty()).items
            #expect(charges.map(\.amount.microUnits) == [1_000])
            #expect(charges.first?.period == Period(start: .zero, end: Instant(seconds: 100)))
        }
    }

    /// A seller, or one of its nodes, tells of time to come, of more than the contract holds, and of what is in no lot.
    @Test func readingsThatCannotBeAreNotCharged() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            manage.connect.measure(id, seconds: 0..<7)
            manage.connect.measure(id, seconds: 4_000_000_000..<4_000_000_060)
            manage.connect.measure(id, seconds: 7..<60, as: Resources(milliCPU: 1 << 52))
            manage.connect.measure(id, seconds: 7..<60, as: Resources(milliGPU: 1))
            manage.connect.measure(id, seconds: 7..<60, as: Resources(milliCPU: -1))
            manage.connect.measure(id, seconds: 7..<60)
            try await eventually("what comes after them is charged") { try await manage.instance(id).charged.microUnits == 600 }
            #expect(try await manage.call(ManageAPI.listCharges, body: Empty()).items.map(\.amount.microUnits) == [600])
        }
    }

    @Test func theEndOfAContractStopsItsMachinesAndSaysWhy() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            let contract = try #require(manage.exchange.contracts.first?.id)
            manage.exchange.end(contract, "the buyer's cash does not cover the next period")
            manage.connect.measure(id, seconds: 0..<10)
            try await eventually("it is stopped") { try await manage.state(id) == .stopped }
            #expect(try await manage.instance(id).reason?.code == "Server.ContractEnded")
            try await eventually("the last reading is charged") { try await manage.instance(id).charged.microUnits == 100 }
            let start = try await manage.ec2("StartInstances", ("InstanceId.1", id.description))
            #expect(errorCode(start) == "IncorrectInstanceState")
            #expect(errorMessage(start).contains("its contract has ended"))
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", id.description))
            #expect(try await manage.state(id) == .terminated)
            #expect(!FileManager.default.fileExists(atPath: manage.folder + "/contracts/\(contract)"), "its key is gone")
        }
    }

    @Test func consolesComeFromTheSeller() async throws {
        try await withManage { manage in
            let id = try await running(manage)
            let answer = try await manage.ec2("GetConsoleOutput", ("InstanceId", id.description))
            #expect(answer.document["output"]?.text == Data("booted".utf8).base64EncodedString())
            let contract = try #require(manage.exchange.contracts.first?.id)
            manage.exchange.end(contract, "over")
            try await eventually("it is stopped") { try await manage.state(id) == .stopped }
            let kept = try await manage.ec2("GetConsoleOutput", ("InstanceId", id.description))
            #expect(kept.document["output"]?.text == answer.document["output"]?.text)
        }
    }
}
