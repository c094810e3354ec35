import CloudAPI
import Connect
import Primitives
import ServiceKit
import TestSupport
import Testing

/// What a refusal by a contract's volume offers can be had: it fits the contract, and a host.
@Suite struct NearestVolumeTests {
    /// Contracts larger than any of the hosts, which are small and of many sizes.
    @Test(.timeLimit(.minutes(5)), arguments: 1...4 as ClosedRange<UInt64>) func whatIsOfferedIsAccepted(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let hosts = (0..<3).map { number in
            PlacementScene.hello(
                "n\(number)",
                resources: Resources(
                    milliCPU: .random(in: 1...4, using: &generator) * 1_000, memoryMiB: .random(in: 2...6, using: &generator) * 1_024,
                    diskMiB: .random(in: 4...24, using: &generator) * 1_024))
        }
        var number: UInt64 = 100
        var followed = 0
        try await PlacementScene.with(hosts: hosts) { scene in
            let buyer = try await scene.buyer(1, lots: 12)
            for _ in 0..<16 {
                var wanted = Resources(
                    milliCPU: .random(in: 1...40, using: &generator) * 500, memoryMiB: .random(in: 1...64, using: &generator) * 512,
                    diskMiB: .random(in: 1...64, using: &generator) * 1_024)
                number += 2
                guard let problem = await launched(number, wanted, scene, buyer), problem.rule == "contract.volume" else { continue }
                #expect(problem.nearest != nil)
                guard let most = problem.facts?.most else { continue }
                // Whatever it does not name is asked for no longer.
                wanted = most
                let again = await launched(number + 1, wanted, scene, buyer)
                #expect(again == nil, "\(problem) was followed by \(String(describing: again))")
                followed += 1
            }
            #expect(try await scene.connect.service.violations() == [])
        }
        #expect(followed > 0)
    }

    private func launched(
        _ number: UInt64, _ resources: Resources, _ scene: PlacementScene, _ buyer: PlacementScene.Buyer
    ) async -> ProblemDocument? {
        await scene.problem { _ = try await scene.launch(number, by: buyer, nil, resources) }
    }

    @Test(.timeLimit(.minutes(5)), arguments: 1...4 as ClosedRange<UInt64>) func volumesThatAreOfferedAreAccepted(_ seed: UInt64)
        async throws
    {
        var generator = SeededGenerator(seed: seed)
        let hosts = (0..<3).map { number in
            PlacementScene.hello(
                "n\(number)",
                resources: Resources(milliCPU: 8_000, memoryMiB: 8_192, diskMiB: .random(in: 2...8, using: &generator) * 1_024))
        }
        var followed = 0
        try await PlacementScene.with(hosts: hosts) { scene in
            let buyer = try await scene.buyer(1, lots: 1)
            var number: UInt64 = 200
            for _ in 0..<12 {
                number += 2
                let (size, first) = (Int64.random(in: 1...80, using: &generator) * 512, number)
                let problem = await scene.problem { try await make(first, size, scene, buyer) }
                guard let problem, problem.rule == "contract.volume" else { continue }
                #expect(problem.nearest != nil)
                guard let most = problem.facts?.most else { continue }
                let again = await scene.problem { try await make(first + 1, most.diskMiB, scene, buyer) }
                #expect(again == nil, "\(problem) was followed by \(String(describing: again))")
                followed += 1
                let growth = await scene.problem { try await grow(first + 1, to: 1 << 24, scene, buyer) }
                #expect(growth?.rule == "contract.volume" && growth?.nearest != nil)
                guard let larger = growth?.facts?.most else { continue }
                #expect(await scene.problem { try await grow(first + 1, to: larger.diskMiB, scene, buyer) } == nil)
            }
            #expect(try await scene.connect.service.violations() == [])
        }
        #expect(followed > 0)
    }

    private func make(_ number: UInt64, _ size: Int64, _ scene: PlacementScene, _ buyer: PlacementScene.Buyer) async throws {
        let request = CreateVolume(id: VolumeID(bits: number), sizeMiB: size, account: AccountID(bits: 1))
        _ = try await scene.connect.call(ConnectAPI.createVolume, as: buyer.credential, body: request)
    }

    private func grow(_ number: UInt64, to size: Int64, _ scene: PlacementScene, _ buyer: PlacementScene.Buyer) async throws {
        _ = try await scene.connect.call(
            ConnectAPI.actOnVolume, as: buyer.credential, path: ["volume": VolumeID(bits: number).description],
            body: ActOnVolume(action: .resize, sizeMiB: size))
    }

    /// As many of a gang as the refusal says can be had.
    @Test(.timeLimit(.minutes(5))) func theFirstOfAGangFit() async throws {
        let small = Resources(milliCPU: 1_000, memoryMiB: 2_500, diskMiB: 100_000)
        try await PlacementScene.with(hosts: [PlacementScene.hello("a", resources: small), PlacementScene.hello("b", resources: small)]) {
            scene in
            let buyer = try await scene.buyer(1, lots: 6)
            let each = Resources(milliCPU: 500, memoryMiB: 2_048, diskMiB: 1_024)
            func gang(_ count: UInt64) async -> ProblemDocument? {
                let members = (1...count).map { scene.spec($0, nil, each) }
                return await scene.problem {
                    _ = try await scene.connect.call(
                        ConnectAPI.createInstanceGang, as: buyer.credential, body: CreateInstanceGang(instances: members))
                }
            }
            let problem = await gang(20)
            #expect(problem?.rule == "contract.volume" && problem?.facts?["instances"] == .number(2), "\(String(describing: problem))")
            #expect(problem?.nearest == "the first 2 instances of the 20")
            #expect(await gang(2) == nil)
        }
    }
}

extension [String: Refusal.Fact] {
    /// What a refusal offers at most.
    fileprivate var most: Resources? {
        func amount(_ name: String) -> Int64 { if case .number(let amount)? = self[name] { amount } else { 0 } }
        let most = Resources(
            milliCPU: amount("mostMilliCPU"), memoryMiB: amount("mostMemoryMiB"), diskMiB: amount("mostDiskMiB"), iops: amount("mostIops"))
        return most == .zero ? nil : most
    }
}
