import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct DeliveryTests {
    @Test func whatMachinesHadIsReportedAndSigned() async throws {
        try await withManage { manage in
            manage.exchange.offer((36_000, 9))
            let id = try #require(try await manage.run().first)
            try await eventually("it runs") { try await manage.state(id) == .running }
            let contract = try #require(manage.exchange.contracts.first)
            let now = SystemTime().now()
            let period = Period(start: now - .seconds(60), end: now + .milliseconds(500))
            let stretch = DeliveryView(
                contract: contract.id, period: period, lots: contract.lots, state: .waiting, due: now, currency: .eur, chargeMicroUnits: 1,
                paidMicroUnits: 0, creditedMicroUnits: 0, heldMicroUnits: 1, basis: nil, availabilityThousandths: nil, buyerReport: nil,
                sellerReport: nil, dispute: nil)
            manage.exchange.state.withLock { $0.awaited.append(stretch) }
            try await Task.sleep(for: .milliseconds(700))
            #expect(manage.exchange.state.withLock { $0.reports.isEmpty }, "connect was not heard of since")
            manage.connect.measure(id, seconds: 0..<7)
            try await eventually("it is reported") { manage.exchange.state.withLock { !$0.reports.isEmpty } }
            let (report, signer) = try #require(manage.exchange.state.withLock { $0.reports.first })
            #expect(signer.role == .manage && report.period == period && report.unavailable.isEmpty)
            #expect(report.demandedLotMicroseconds == report.deliveredLotMicroseconds && report.demandedLotMicroseconds > 0)
            #expect(report.evidenceHash.count == 64)
        }
    }
}
