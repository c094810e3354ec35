import CloudAPI
import CloudClient
import Foundation
import PKI
import Primitives

// What manages and connects do: pull certificates, report what they measured, answer disputes.

extension Week {
    /// From the contract and the stretch alone, so that it does not matter in which order they come up.
    private func chance(_ number: Int64, _ start: Int64, _ of: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: UInt64(bitPattern: number &* 1_000_003 &+ start / 60_000_000))
        return generator.next() % of
    }

    private func site(of datacenter: String) -> Int? { cast.sites.firstIndex { $0.datacenter.description == datacenter } }

    // MARK: Confirming

    /// Alpin's connect is down from Tuesday noon to Wednesday noon; now and then a buyer forgets.
    private func confirms(_ contract: StepAuditor.Open, buyer: Bool) -> Bool {
        let at = (Instant(microseconds: contract.created) - start).microseconds / Span.hours(1).microseconds
        if !buyer { return cast.member(contract.seller) != WeekCast.alpin || !(60..<84).contains(at) }
        return contract.number % 23 != 7
    }

    func confirm() async throws {
        for contract in auditor.open where contract.state != "ended" && contract.confirmBy > now.microseconds {
            if !contract.isConfirmedByBuyer, confirms(contract, buyer: true), let member = cast.member(contract.buyer),
                let manage = stage.manages[member]
            {
                try await certify(contract, manage)
            }
            if !contract.isConfirmedBySeller, confirms(contract, buyer: false), let place = site(of: contract.datacenter) {
                try await certify(contract, stage.connects[place])
            }
        }
    }

    private func certify(_ contract: StepAuditor.Open, _ program: Town.Program) async throws {
        let request = CertificateRequest(csr: try CredentialKey().csrPEM())
        _ = try await must("certificate") {
            try await program.exchange.call(
                ExchangeAPI.issueContractCertificate, path: ["contract": contract.id], body: request)
        }
    }

    // MARK: Reporting

    /// What a side says was missing, in thousandths; nil: it says nothing.
    private func missing(_ stretch: StepAuditor.Waiting, buyer: Bool) -> Int64? {
        switch chance(stretch.number, stretch.start, 40) {
        case 0...19: return 0
        case 20, 21: return 4
        case 22, 23: return 25
        case 24: return 120
        case 25...27: return buyer ? 8 : 2
        case 28...30: return buyer ? nil : 5
        case 31...33: return buyer ? 60 : nil
        case 34: return nil
        case 35...37: return buyer ? 200 : 0
        default: return 0
        }
    }

    func report() async throws {
        let waiting = Dictionary(
            uniqueKeysWithValues: auditor.waiting.filter { $0.state == "waiting" }.map { ("\($0.contract) \($0.start)", $0) })
        guard !waiting.isEmpty else { return }
        let programs = stage.manages.sorted { $0.key < $1.key }.map { ($0.value, true) } + stage.connects.map { ($0, false) }
        for (program, isBuyer) in programs {
            let awaited = try await program.exchange.call(ExchangeAPI.awaitedDeliveries).items
            let stretches = awaited.compactMap { view in
                waiting["\(view.contract) \(view.period.start.microseconds)"].map { (view, $0) }
            }.sorted { ($0.1.number, $0.1.start) < ($1.1.number, $1.1.start) }
            for (view, stretch) in stretches {
                guard let missing = missing(stretch, buyer: isBuyer) else { continue }
                let body = try Town.signed(view, program, missing: missing)
                let path = ["contract": stretch.contract]
                _ = try await must("report") { try await program.exchange.call(ExchangeAPI.reportDelivery, path: path, body: body) }
            }
        }
    }

    // MARK: Disputes

    /// By turns both sides agree, the operator rules, one side answers and the deadline passes, nobody answers.
    func settleDisputes() async throws {
        for stretch in auditor.waiting where stretch.state == "disputed" {
            guard let id = stretch.dispute, disputesSeen[id] == nil else { continue }
            let turn = disputesSeen.count % 4
            disputesSeen[id] = turn
            let path = ["dispute": id]
            let view = try await stage.admin.call(ExchangeAPI.showDispute, path: path)
            guard let buyer = cast.member(view.buyer), let seller = cast.member(view.seller) else { continue }
            let amount = view.amount.microUnits
            func answer(_ member: Int, _ toBuyer: Int64) async throws {
                _ = try await must("dispute answered") {
                    try await stage.clients[member].call(
                        ExchangeAPI.answerDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: toBuyer, note: "our logs"))
                }
            }
            switch turn {
            case 0:
                try await answer(buyer, amount * 3 / 5)
                try await answer(seller, amount * 7 / 10)
            case 1:
                try await answer(buyer, amount)
                let ruling = AnswerDispute(toBuyerMicroUnits: amount / 3, note: "the host's own log")
                try await refused("market.dispute-amount") {
                    try await stage.admin.call(
                        ExchangeAPI.ruleDispute, path: path, body: AnswerDispute(toBuyerMicroUnits: amount + 1, note: "too much"))
                }
                _ = try await must("dispute ruled on") {
                    try await stage.admin.call(ExchangeAPI.ruleDispute, path: path, body: ruling)
                }
                try await refused("market.dispute-over") {
                    try await stage.admin.call(ExchangeAPI.ruleDispute, path: path, body: ruling)
                }
            case 2: try await answer(seller, amount / 4)
            default: break
            }
        }
    }
}
