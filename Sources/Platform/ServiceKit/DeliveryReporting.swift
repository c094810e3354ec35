public import CloudAPI
import CloudClient
public import Logging
import PKI
import Primitives

extension ProgramIdentity {
    /// Reports each stretch that waits for this program's report: those that ended just now, and after an outage those before them.
    ///
    /// - Parameter measure: what was measured of a stretch, unsigned; nil while it cannot be said yet.
    public func reportDeliveries(
        logger: Logger, _ measure: @Sendable (DeliveryView) async throws -> ReportDelivery?
    ) async throws {
        let side: DeliverySide = record.role == .manage ? .buyer : .seller
        for stretch in try await exchange.call(ExchangeAPI.awaitedDeliveries, deadline: .seconds(10)).items {
            guard var report = try await measure(stretch) else { continue }
            let credential = tls.credential
            report.certificate = credential.chainPEM
            report.signature = try credential.signature(of: report.signedText(contract: stretch.contract, side: side))
            do {
                _ = try await exchange.call(
                    ExchangeAPI.reportDelivery, path: ["contract": stretch.contract.description], body: report, deadline: .seconds(10))
            } catch let problem as ProblemDocument where problem.status < 500 {
                logger.warning(
                    "a delivery report was refused",
                    metadata: ["contract": "\(stretch.contract)", "from": "\(stretch.period.start)", "reason": "\(problem.detail)"])
            }
        }
    }
}
