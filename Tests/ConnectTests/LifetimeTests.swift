import CloudAPI
import CloudClient
import Connect
import PKI
import Primitives
import ServiceKit
import Store
import TestSupport
import Testing

/// Connect learns from the instances that come and go, and knows again after a restart what it knew.
@Suite struct LifetimeTests {
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func livesAreFollowedAcrossARestart(_ kind: DatabaseKind) async throws
    {
        try await withTestDatabase(kind) { test in
            try await ConnectFixture.with(url: test.url) { connect in
                let host = try await TestHost.enrolled(at: connect)
                let scene = PlacementScene(connect: connect, image: try await connect.image(), hosts: [host])
                let buyer = try await scene.buyer(1, lots: 5)
                for number in 1...3 as ClosedRange<UInt64> { _ = try await scene.launch(number, by: buyer) }
                try await eventually("three are followed") { connect.service.followedLives == 3 }
                try await scene.act(.terminate, on: 2, by: buyer)
                try await scene.settle()
                try await eventually("the one that ended is not") { connect.service.followedLives == 2 }
                try await connect.service.rebuild()
                try await eventually("what the tables say is learned again") { connect.service.followedLives == 2 }
            }
            try await ConnectFixture.with(url: test.url) { connect in
                try await eventually("after a restart too") { connect.service.followedLives == 2 }
                #expect(try await connect.service.violations() == [])
            }
        }
    }

    /// As its launch says, and at least as many as its place in the launch tells of.
    @Test(.timeLimit(.minutes(5)), arguments: DatabaseKind.allCases) func aBatchIsKeptAsItWasTold(_ kind: DatabaseKind) async throws {
        try await withTestDatabase(kind) { test in
            let told: [(index: Int64, count: Int64?, batch: Int64)] = [(0, 5, 5), (4, 5, 5), (3, nil, 4), (0, nil, 1)]
            try await ConnectFixture.with(url: test.url) { connect in
                let host = try await TestHost.enrolled(at: connect)
                let scene = PlacementScene(connect: connect, image: try await connect.image(), hosts: [host])
                let buyer = try await scene.buyer(1, lots: 5)
                for (number, launch) in told.enumerated() {
                    var request = TestHost.instance(UInt64(number + 1), scene.image)
                    (request.launchIndex, request.launchCount) = (launch.index, launch.count)
                    _ = try await connect.call(ConnectAPI.createInstance, as: buyer.credential, body: request)
                }
            }
            let database = try openDatabase(test.url)
            let kept = try await database.read { context in
                try context.query("SELECT launch_count FROM instances ORDER BY id").map { try $0.integer("launch_count") }
            }
            await database.close()
            #expect(kept == told.map(\.batch))
        }
    }
}
