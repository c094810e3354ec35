import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// DescribeInstances, DescribeInstanceStatus, Start-, Stop-, Reboot- and TerminateInstances, GetConsoleOutput.
    func addInstanceActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(DescribeInstances.self, check: mayView) { request, caller in
            let instances = try await describe(request.instances, of: caller)
            let page = request.paging.page(of: instances.filter(request.filter), position: \.position)
            return .init(reservations: ReservationDescription.grouping(page.items), nextToken: page.nextToken)
        }
        registry.on(DescribeInstanceStatus.self, check: mayView) { request, caller in
            let statuses = try await describe(request.instances, of: caller).filter { request.includeAll || $0.state == .running }
                .map { InstanceStatusDescription(instance: $0.id, zone: $0.zone, state: $0.state, hostReachable: true) }
                .filter(request.filter).sorted { $0.position < $1.position }
            let page = request.paging.page(of: statuses, position: \.position)
            return .init(statuses: page.items, nextToken: page.nextToken)
        }
        registry.on(StartInstances.self, check: mayOperate) { request, caller in
            .init(changes: try await act(.start, on: request.instances, of: caller.accounts, by: caller.user).map(InstanceStateChange.init))
        }
        registry.on(StopInstances.self, check: mayOperate) { request, caller in
            let transitions = try await act(.stop, on: request.instances, of: caller.accounts, force: request.force, by: caller.user)
            return .init(changes: transitions.map(InstanceStateChange.init))
        }
        registry.on(RebootInstances.self, check: mayOperate) { request, caller in
            _ = try await act(.reboot, on: request.instances, of: caller.accounts, by: caller.user)
            return .init()
        }
        registry.on(TerminateInstances.self, check: mayOperate) { request, caller in
            .init(
                changes: try await act(.terminate, on: request.instances, of: caller.accounts, by: caller.user).map(
                    InstanceStateChange.init))
        }
        registry.on(GetConsoleOutput.self, check: mayView) { request, caller in
            let console = try await console(of: request.instance, in: caller.accounts, by: caller.user)
            return .init(instance: console.instance, at: console.at, output: console.output)
        }
    }

    func mayOperate(_ request: some ActionRequest, _ caller: EC2Caller) throws { try caller.user.authorize(.operateInstances) }

    /// All that the caller sees, or exactly those named.
    private func describe(_ instances: [InstanceID], of caller: EC2Caller) async throws -> [InstanceDescription] {
        let now = time.now()
        let accounts = caller.accounts
        let records = try await database.read { [self] context in
            guard instances.isEmpty else { return try found(instances, of: accounts, in: context) }
            return try InstanceRecord.ofAccounts(accounts, terminatedAfter: now - .hours(1), in: context)
        }
        return try await describe(records, in: accounts).sorted { $0.position < $1.position }
    }

    func describe(_ records: [InstanceRecord], in accounts: Set<AccountID>) async throws -> [InstanceDescription] {
        let fallback = configuration.region
        return try await database.read { context in
            let tags = try TagRecord.grouped(of: accounts, in: context)
            let volumes = Dictionary(grouping: try VolumeRecord.all(of: accounts, in: context)) { $0.attachment?.instance }
            var zones: [ContractID: String?] = [:]
            return try records.map { record in
                if let contract = record.contract, zones[contract] == nil {
                    zones[contract] = .some(try ContractRecord.load(contract, in: context)?.view.zone)
                }
                let zone = record.contract.flatMap { zones[$0] ?? nil } ?? fallback
                var description = InstanceDescription(
                    record, zone: record.zone(default: zone), tags: tags[record.id.description] ?? [])
                description.volumes = (volumes[record.id] ?? []).compactMap { volume in volume.ec2Attachment.map { (volume.id, $0) } }
                return description
            }
        }
    }
}

extension InstanceDescription {
    fileprivate init(_ record: InstanceRecord, zone: String, tags: [ResourceTag]) {
        let specification = record.specification
        let isGone = record.state == .terminated
        self.init(
            id: record.id, reservation: record.reservation, owner: record.account.description, image: specification.image,
            instanceType: specification.offering, virtualCPUs: (specification.resources.milliCPU + 999) / 1_000, state: .init(record.state),
            stateReasonCode: record.reason?.code, stateReasonMessage: record.reason?.message, stateChanged: record.stateChanged,
            launched: record.accepted, launchIndex: record.launchIndex, keyName: specification.key?.name,
            clientToken: specification.clientToken,
            zone: zone, architecture: specification.architecture, privateAddress: isGone ? nil : record.seen?.privateAddress,
            macAddress: isGone ? nil : record.seen?.macAddress, tags: tags)
    }
}

extension InstanceStateName {
    fileprivate init(_ state: InstanceState) {
        self =
            switch state {
            case .pending: .pending
            case .running: .running
            case .stopping: .stopping
            case .stopped: .stopped
            case .shuttingDown: .shuttingDown
            case .terminated: .terminated
            }
    }
}

extension InstanceStateChange {
    fileprivate init(_ transition: StateTransition) {
        self.init(instance: transition.record.id, previous: .init(transition.previous), current: .init(transition.record.state))
    }
}
