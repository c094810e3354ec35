import CloudAPI
import Market
import PKI
import Primitives
import ServiceKit
import Store

extension ExchangeCore {
    func contracts(_ call: Call<Empty>) async throws -> CloudAPI.Page<ContractView> {
        var (conditions, arguments) = try Scope(call.principal).contractCondition(first: 3)
        if let state = try call.query.value("state", of: ContractState.self) {
            arguments.append(.text(state.rawValue))
            conditions.append("state = $\(arguments.count + 2)")
        }
        return try await database.read { [conditions, arguments] context in
            try context.newest(call.query, "SELECT * FROM contracts", number: "number", where: conditions, arguments) { row in
                try context.view(of: try Contract(row: row))
            }
        }
    }

    func showContract(_ call: Call<Empty>) async throws -> ContractView {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        return try await database.read { try $0.view(of: try $0.contract(id, visibleTo: scope)) }
    }

    /// Stops a contract from rolling; the operator may end it at once.
    func stopContract(_ call: Call<StopContract>) async throws -> ContractView {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        let contract = try await database.read { try $0.contract(id, visibleTo: scope) }
        try contract.checkSide(of: call.principal)
        guard contract.isLive else { throw Refusal.contractOver(contract) }
        let immediately = call.body.immediately ?? false
        guard !immediately || scope == .all else {
            throw Refusal(
                "contract.end", .forbidden,
                "Only the exchange's operator ends a contract at once; it ends at \(contract.period.end) when stopped now.",
                facts: ["end": .text(contract.period.end.description)], nearest: "the same without `immediately`")
        }
        let command: MarketCommand =
            immediately ? .endContract(id, detail: call.body.reason) : .stopContract(id, by: scope.participant, detail: call.body.reason)
        do {
            return try await perform(try DeskRequest(command, for: call, status: 202), by: scope.participant) { market, changes in
                ContractView(changes.contracts.last ?? market.contract(id) ?? contract, in: market)
            }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-contract" {
            throw Refusal.contractOver(try await database.read { try $0.contract(id, visibleTo: .all) })
        }
    }

    /// This side's certificate of a contract: the buyer's for its manage, the seller's for the connect of the datacenter that delivers.
    ///
    /// The first one confirms the contract; what comes after is done again by whoever asks again. Whether the contract is in force is
    /// checked in the transaction that records the certificate, so that one that ends at the same moment either refuses or takes the
    /// certificate along.
    func issueContractCertificate(_ call: Call<CertificateRequest>) async throws -> IssuedCertificateView {
        let id = try call.id("contract", as: ContractID.self)
        let scope = try Scope(call.principal)
        let contract = try await database.read { try $0.contract(id, visibleTo: scope) }
        let holder = try CertificateHolder(call.principal, of: contract)
        let party: ContractParty = holder.side == .buyer ? .buyer : .seller
        if contract.confirmation[party] == nil {
            // What cannot be granted confirms nothing.
            _ = try issue(contract, holder, call.body, at: time.now())
            try await confirm(contract, party, by: call.principal)
        }
        let now = time.now()
        let view = try await database.write { transaction in
            let (issued, terms) = try issue(try transaction.contract(id, visibleTo: .all), holder, call.body, at: now)
            try Certificates.record(issued, for: holder.program, contract: terms, in: transaction, at: now)
            let view = IssuedCertificateView(chain: issued.chainPEM, serial: issued.serial, notAfter: issued.notAfter)
            try transaction.remember(view, status: 201, for: call.idempotency, at: now)
            FaultPoint.hit("exchange.certificate.written")
            return view
        }
        FaultPoint.hit("exchange.certificate.committed")
        return view
    }

    private func confirm(_ contract: Contract, _ party: ContractParty, by principal: Principal) async throws {
        let request = DeskRequest(command: .confirmContract(contract.id, party), actor: principal.name)
        do {
            _ = try await perform(request, by: try Scope(principal).participant) { _, _ in Empty() }
        } catch let refusal as Refusal where refusal.rule == "market.unknown-contract" {
            throw Refusal.contractOver(try await database.read { try $0.contract(contract.id, visibleTo: .all) })
        }
    }

    private func issue(
        _ contract: Contract, _ holder: CertificateHolder, _ request: CertificateRequest, at now: Instant
    ) throws -> (IssuedCertificate, ContractTerms) {
        guard contract.isLive, now < contract.period.end else { throw Refusal.contractOver(contract) }
        let terms = ContractTerms(
            contract: contract.id, side: holder.side, product: contract.product, lots: contract.lots, period: contract.period)
        let issued = try refusing { () throws(PKIError) in try authority.issueContract(csrPEM: request.csr, terms: terms, now: now) }
        return (issued, terms)
    }
}

/// Which side of a contract a program may hold the certificate of.
struct CertificateHolder {
    let side: ContractSide
    let program: CertifiedProgram

    init(_ principal: Principal, of contract: Contract) throws {
        guard case .program(let participant, let role, let id) = principal else { throw Refusal.unknownContract(contract.id) }
        switch role {
        case .manage where contract.buyer == participant: side = .buyer
        case .connect where contract.seller == participant && contract.datacenter.description == id: side = .seller
        default:
            throw Refusal(
                "contract.certificate", .forbidden,
                "A manage holds the buyer's certificate, the connect of the delivering datacenter the seller's.",
                facts: ["contract": .text(contract.id.description)])
        }
        program = CertifiedProgram(participant: participant, role: role, id: id)
    }
}

extension Contract {
    /// A manage of a company that also sells leaves the contracts alone that its connects deliver, as it does their orders.
    func checkSide(of principal: Principal) throws(Refusal) {
        guard case .program(let participant, .manage, _) = principal, buyer != participant else { return }
        throw Refusal(
            "contract.program", .forbidden, "A manage speaks for the buyer of a contract; this one's buyer is somebody else.",
            facts: ["contract": .text(id.description)], nearest: "the connect of \(datacenter), or a participant token")
    }
}

extension ReadContext {
    func contract(_ id: ContractID, visibleTo scope: Scope) throws -> Contract {
        let contract = try queryOne("SELECT * FROM contracts WHERE id = $1", [SQLValue(id)]).map(Contract.init(row:))
        guard let contract, scope.sees(contract) else { throw Refusal.unknownContract(id) }
        return contract
    }

    fileprivate func view(of contract: Contract) throws -> ContractView {
        guard let product = try queryOne("SELECT * FROM products WHERE id = $1", [SQLValue(contract.product)]).map(Product.init(row:)),
            let datacenter = try queryOne("SELECT * FROM datacenters WHERE id = $1", [SQLValue(contract.datacenter)]).map(
                Datacenter.init(row:))
        else { throw StoreError.corrupted("contract \(contract.id) refers to nothing") }
        return ContractView(
            contract, buyer: try name(of: contract.buyer), seller: try name(of: contract.seller), product: product, datacenter: datacenter,
            deliveries: contract.state == .settled ? [] : try openDeliveries(of: contract.id))
    }

    private func name(of participant: ParticipantID) throws -> String {
        try queryOne("SELECT name FROM participants WHERE id = $1", [SQLValue(participant)])?.text("name") ?? participant.description
    }
}

extension Refusal {
    static func unknownContract(_ id: ContractID) -> Refusal {
        Refusal("market.unknown-contract", .notFound, "There is no contract \(id).", facts: ["contract": .text(id.description)])
    }

    fileprivate static func contractOver(_ contract: Contract) -> Refusal {
        Refusal(
            "market.contract-over", .conflict,
            "The contract \(contract.id) ended at \(contract.period.end): \(contract.reasonText ?? "its time was over").",
            facts: ["end": .text(contract.period.end.description), "state": .text(contract.state.rawValue)])
    }
}
