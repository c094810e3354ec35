import CloudAPI
import EC2
import Foundation
import Manage
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct LaunchTests {
    @Test(arguments: DatabaseKind.allCases) func aLaunchBuysWhatItNeedsAndRuns(_ kind: DatabaseKind) async throws {
        try await withManage(kind) { manage in
            manage.exchange.offer((20_000, 2), (40_000, 5))
            let launched = try await manage.run(
                ("TagSpecification.1.ResourceType", "instance"), ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", "web"))
            let id = try #require(launched.first)
            try await eventually("it runs") { try await manage.state(id) == .running }
            let view = try await manage.instance(id)
            #expect(view.contract == manage.exchange.contracts.first?.id)
            #expect(view.seller == "North")
            #expect(view.address == "10.1.0.2")
            #expect(view.name == "web")
            #expect(view.step == nil)
            #expect(manage.exchange.orders.map(\.price) == [20_000])
        }
    }

    /// Sellers expect of instances that came together that they go together: each says how many they were.
    @Test func sellersHearHowManyWereLaunchedTogether() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let several = manage.launchParameters.filter { !$0.0.hasSuffix("Count") } + [("MinCount", "2"), ("MaxCount", "3")]
            #expect(try await manage.ec2("RunInstances", several).status == 200)
            try await eventually("all are asked for") { manage.connect.creations == 3 }
            let alone = try #require(try await manage.run().first)
            try await eventually("it runs") { try await manage.state(alone) == .running }
            let asked = manage.connect.state.withLock { $0.creations }
            let together = asked.filter { $0.id != alone }
            #expect(together.map(\.launchIndex).sorted() == [0, 1, 2])
            #expect(together.allSatisfy { $0.launchCount == 3 } && Set(together.map(\.reservation)).count == 1)
            #expect(asked.first { $0.id == alone }?.launchCount == 1)
        }
    }

    @Test func contractsWithRoomAreUsedBeforeTheMarket() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 4))
            let first = try #require(try await manage.run().first)
            try await eventually("the first runs") { try await manage.state(first) == .running }
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", first.description))
            try await eventually("the first is gone") { try await manage.state(first) == .terminated }
            let second = try #require(try await manage.run().first)
            try await eventually("the second runs") { try await manage.state(second) == .running }
            #expect(manage.exchange.orders.count == 1, "the first one's contract had room again")
        }
    }

    /// The class of bare metal is an instance type; whole hosts are bought for it, and for nothing else, however cheap.
    @Test func wholeHostsAreLaunchedByTheirClass() async throws {
        try await withManage { manage in
            manage.exchange.offer((2_000, 90))
            manage.exchange.offerHosts((1_000, 2))
            try await eventually("manage knows the class") {
                try await manage.call(ManageAPI.listOfferings, body: Empty()).items.contains {
                    $0.name == "metal-r7" && $0.hourly?.microUnits == 1_000
                }
            }
            let metal = try await manage.ec2("DescribeInstanceTypes", ("Filter.1.Name", "bare-metal"), ("Filter.1.Value.1", "true"))
            #expect(metal.document["instanceTypeSet"]?.items.map { $0["instanceType"]?.text } == ["metal-r7"])
            let small = try #require(try await manage.run().first)
            let wanted = manage.launchParameters.filter { $0.0 != "InstanceType" } + [("InstanceType", "metal-r7")]
            #expect(try await manage.ec2("RunInstances", wanted).status == 200)
            try await eventually("both are asked for") { manage.connect.creations == 2 }
            let asked = manage.connect.state.withLock { $0.creations }
            let host = try #require(asked.first { $0.id != small })
            #expect(host.placement?.kind == .metal && host.resources.milliCPU == 16_000)
            #expect(asked.first { $0.id == small }?.placement?.kind == nil)
            #expect(manage.exchange.orders.map(\.lots) == [1, 1] && manage.exchange.contracts.map(\.lot.milliCPU) == [1_000, 16_000])
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", host.id.description))
            try await eventually("its host is free") { try await manage.state(host.id) == .terminated }
            let zone = ("AvailabilityZone", Town.zone)
            let volume = try await manage.ec2("CreateVolume", zone, ("Size", "100"))
            #expect(errorMessage(volume).contains("the most that one has is 12288 MiB"), "\(errorMessage(volume))")
        }
    }

    @Test func aForwardIsNotUsedBeforeItBegins() async throws {
        try await withManage { manage in
            try manage.exchange.sellAhead(77, lots: 9, from: SystemTime().now() + .hours(2))
            try await eventually("manage knows of it") {
                try await manage.call(ManageAPI.listContracts, body: Empty()).items.contains { $0.contract.id == ContractID(bits: 77) }
            }
            try await eventually("manage has confirmed it") {
                try await manage.call(ManageAPI.listContracts, body: Empty()).items.contains {
                    $0.contract.id == ContractID(bits: 77) && $0.contract.confirmation?.buyer != nil
                }
            }
            manage.exchange.offer((20_000, 4))
            let launched = try #require(try await manage.run().first)
            try await eventually("it runs") { try await manage.state(launched) == .running }
            #expect(try await manage.instance(launched).contract != ContractID(bits: 77))
            #expect(manage.exchange.orders.count == 1)
        }
    }

    @Test func aClientTokenMakesALaunchSafeToRepeat() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let first = try await manage.run(("ClientToken", "abc"))
            let again = try await manage.run(("ClientToken", "abc"))
            #expect(first == again)
            let other = try await manage.ec2(
                "RunInstances", manage.launchParameters.filter { $0.0 != "MaxCount" } + [("MaxCount", "2"), ("ClientToken", "abc")])
            #expect(errorCode(other) == "IdempotentParameterMismatch")
            try await eventually("one machine") { manage.connect.instances.count == 1 }
            #expect(manage.exchange.orders.count == 1)
        }
    }

    @Test func refusalsComeAtOnceAndChangeNothing() async throws {
        try await withManage { manage in
            let nothing = try await manage.ec2("RunInstances", manage.launchParameters)
            #expect(errorCode(nothing) == "InsufficientInstanceCapacity")
            manage.exchange.offer((60_000, 9))
            let dear = try await manage.ec2("RunInstances", manage.launchParameters)
            #expect(errorCode(dear) == "SpotMaxPriceTooLow")
            #expect(errorMessage(dear).contains("0.06 EUR per lot-hour, the price cap 0.05"))
            manage.exchange.offer((20_000, 9))
            manage.exchange.state.withLock { $0.cash = 10 }
            let poor = try await manage.ec2("RunInstances", manage.launchParameters)
            #expect(errorCode(poor) == "InsufficientFunds")
            manage.exchange.state.withLock { $0.cash = 1_000_000 }
            let rehearsal = try await manage.ec2("RunInstances", manage.launchParameters + [("DryRun", "true")])
            #expect(errorCode(rehearsal) == "DryRunOperation")
            #expect(rehearsal.status == 412)
            for (name, value, code) in [
                ("ImageId", "ami-0aaaaaaaaaaaaaaaa", "InvalidAMIID.NotFound"), ("InstanceType", "x9.huge", "InvalidParameterValue"),
                ("KeyName", "nobody", "InvalidKeyPair.NotFound"), ("Placement.AvailabilityZone", "elsewhere", "InvalidParameterValue"),
            ] {
                let answer = try await manage.ec2("RunInstances", manage.launchParameters.filter { $0.0 != name } + [(name, value)])
                #expect(errorCode(answer) == code, "\(name)=\(value)")
            }
            #expect(manage.exchange.orders.isEmpty)
            #expect(try await manage.call(ManageAPI.listInstances, body: Empty()).items.isEmpty)
        }
    }

    /// The market has one product, shared and on the hosts' own disks; a contract of it has room.
    @Test func onlyWhatGivesWhatIsAskedForIsBoughtOrUsed() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let first = try #require(try await manage.run().first)
            try await eventually("it runs") { try await manage.state(first) == .running }
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", first.description))
            try await eventually("its contract has room") { try await manage.state(first) == .terminated }
            let dedicated = try await manage.ec2("RunInstances", manage.launchParameters + [("Placement.Tenancy", "dedicated")])
            #expect(errorCode(dedicated) == "InsufficientInstanceCapacity")
            #expect(errorMessage(dedicated).contains("1 by tenancy"))
            #expect(manage.exchange.orders.count == 1, "nothing is bought for it")
            #expect(try await manage.call(ManageAPI.listInstances, body: Empty()).items.map(\.id) == [first])
        }
    }

    @Test func quotasHold() async throws {
        try await withManage(settle: false) { manage in
            try await manage.settle(quotaMilliCPU: 1_500)
            manage.exchange.offer((20_000, 9))
            try await manage.run()
            let second = try await manage.ec2("RunInstances", manage.launchParameters)
            #expect(errorCode(second) == "VcpuLimitExceeded")
            #expect(errorMessage(second).contains("0.5 vCPU are free"))
        }
    }

    @Test func aSellerWithoutRoomIsPassedOver() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            manage.connect.state.withLock { $0.refuseCreations = [Refusal("placement.full", .capacity, "No host has room.")] }
            let id = try #require(try await manage.run().first)
            try await eventually("it runs elsewhere") { try await manage.state(id) == .running }
            #expect(manage.exchange.orders.count == 2)
        }
    }

    @Test func aLaunchThatCannotSucceedEndsWithItsReasonAndReleasesAll() async throws {
        try await withManage(adjust: { $0.idleContractSeconds = 0 }) { manage in
            manage.exchange.offer((20_000, 9))
            let refusal = Refusal("placement.full", .capacity, "No host has room.")
            manage.connect.state.withLock { $0.refuseCreations = [refusal, refusal, refusal] }
            let id = try #require(try await manage.run().first)
            try await eventually("it ends") { try await manage.state(id) == .terminated }
            #expect(try await manage.instance(id).reason?.code == "Server.InsufficientInstanceCapacity")
            let answer = try await manage.ec2("DescribeInstances", ("InstanceId.1", id.description))
            let shown = answer.document["reservationSet"]?.items.first?["instancesSet"]?.items.first
            #expect(shown?["stateReason"]?["message"]?.text == "Server.InsufficientInstanceCapacity: No host has room.")
            try await eventually("no contract rolls on") { manage.exchange.contracts.allSatisfy { !$0.rolls } }
            #expect(try await manage.call(ManageAPI.listContracts, body: Empty()).items.allSatisfy { $0.capacity.used == .zero })
        }
    }

    @Test func asksThatGoMeanwhileEndTheLaunchClearly() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 1))
            manage.interruptions.arm(.init(operation: "placeOrder", moment: .before))
            let id = try #require(try await manage.run().first)
            try await eventually("the order is on its way") { manage.interruptions.wasReached }
            manage.exchange.offer()
            try await eventually("it ends", within: .seconds(180)) { try await manage.state(id) == .terminated }
            #expect(try await manage.instance(id).reason?.code == "Server.InsufficientInstanceCapacity")
        }
    }

    static let places = ["placeOrder", "showContract", "issueContractCertificate", "createInstance"].flatMap { operation in
        Interruptions.Moment.allCases.map { Interruptions.Place(operation: operation, moment: $0) }
    }

    /// Killed at each outward step, before and after the other side has done it: the launch ends in one machine, one order, one contract.
    @Test(arguments: places) func killedAnywhereTheLaunchEndsOnce(_ place: Interruptions.Place) async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            manage.interruptions.arm(place)
            let id = try #require(try await manage.run().first)
            try await eventually("manage is there") { manage.interruptions.wasReached }
            await manage.kill()
            try await manage.start()
            try await eventually("it runs", within: .seconds(180)) { try await manage.state(id) == .running }
            #expect(manage.connect.instances.map(\.id) == [id])
            #expect(manage.connect.creations == 1)
            #expect(manage.exchange.orders.count == 1)
            #expect(manage.exchange.contracts.count == 1)
        }
    }

    @Test(arguments: Interruptions.Moment.allCases) func killedWhileTerminatingItEndsOnce(_ moment: Interruptions.Moment) async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            let id = try #require(try await manage.run().first)
            try await eventually("it runs") { try await manage.state(id) == .running }
            manage.interruptions.arm(.init(operation: "actOnInstance", moment: moment))
            let answer = try await manage.ec2("TerminateInstances", ("InstanceId.1", id.description))
            #expect(answer.document["instancesSet"]?.items.first?["currentState"]?["name"]?.text == "shutting-down")
            try await eventually("manage is there") { manage.interruptions.wasReached }
            await manage.kill()
            try await manage.start()
            try await eventually("it is gone", within: .seconds(180)) { try await manage.state(id) == .terminated }
            #expect(manage.connect.instances.map(\.state) == [.terminated])
        }
    }

    @Test func aMachineTerminatedBeforeItIsMadeIsNotLeftBehind() async throws {
        try await withManage { manage in
            manage.exchange.offer((20_000, 9))
            manage.interruptions.arm(.init(operation: "createInstance", moment: .after))
            let id = try #require(try await manage.run().first)
            try await eventually("it is being made") { manage.interruptions.wasReached }
            _ = try await manage.ec2("TerminateInstances", ("InstanceId.1", id.description))
            try await eventually("it is gone on both sides", within: .seconds(180)) {
                try await manage.state(id) == .terminated && manage.connect.instances.allSatisfy { $0.state == .terminated }
            }
        }
    }
}
