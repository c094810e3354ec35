import CloudAPI
import Foundation
import Primitives
import Testing

/// The whole job on real parts: four processes, real QEMU, real network, SQLite on disk.
@Suite(.serialized, .enabled(if: LocalCloud.obstacle == nil, Comment(rawValue: LocalCloud.obstacle ?? "")))
struct MainJobTests {
    @Test(.timeLimit(.minutes(15)))
    func aMachineIsBoughtBootedReachedAndSurvivesEveryProgram() async throws {
        try await LocalCloud.with("main") { try await story($0) }
    }

    private func story(_ cloud: LocalCloud) async throws {
        let told = try await cloud.up()
        #expect(told.contains("What happened:"))
        #expect(told.contains("ctr-0"))
        let machine = try #require(try await cloud.instances().first)
        #expect(machine.state == .running)
        let address = try #require(machine.address)
        try await cloud.until("user data ran") {
            try await cloud.ssh(address, "cat /root/hello.txt").output.contains("Hello from user data")
        }
        try await consoleShowsTheBoot(cloud, machine)
        try await secondUpChangesNothing(cloud, machine)
        try await survivesEveryProgram(cloud, machine, address)
        try await metersAreWhole(cloud)
        try await theLedgerSumsToZero(cloud)
        try await refusals(cloud)
        try await terminates(cloud, machine)
    }

    private func consoleShowsTheBoot(_ cloud: LocalCloud, _ machine: ManagedInstanceView) async throws {
        try await cloud.until("the console shows the boot") {
            try await cloud.bourse(["instance", "console", machine.id.description]).contains("bourse-guest: ready")
        }
    }

    private func secondUpChangesNothing(_ cloud: LocalCloud, _ machine: ManagedInstanceView) async throws {
        let contracts = try await cloud.json([ContractView].self, ["contract", "list"])
        _ = try await cloud.up()
        #expect(try await cloud.instances().map(\.id) == [machine.id])
        #expect(try await cloud.json([ContractView].self, ["contract", "list"]).map(\.id) == contracts.map(\.id))
    }

    private func survivesEveryProgram(_ cloud: LocalCloud, _ machine: ManagedInstanceView, _ address: String) async throws {
        let before = try await cloud.ssh(address, "cat /proc/sys/kernel/random/boot_id").output
        for program in ["exchange", "manage", "connect", "node"] {
            try await cloud.murder(program)
            #expect(try await cloud.ssh(address, "true").status == 0, "the guest answers while \(program) is dead")
            _ = try await cloud.up()
            let after = try await cloud.instance(machine.id)
            #expect(after.state == .running, "after \(program) was killed")
            #expect(after.contract == machine.contract)
        }
        #expect(try await cloud.ssh(address, "cat /proc/sys/kernel/random/boot_id").output == before, "it is the same boot")
    }

    /// Readings of a machine that ran all the time follow on one another without gap or overlap.
    private func metersAreWhole(_ cloud: LocalCloud) async throws {
        let variables = try await cloud.variables()
        let (url, token) = (variables["BOURSE_CONNECT_URL"] ?? "", variables["BOURSE_CONNECT_TOKEN"] ?? "")
        try await cloud.until("there are readings", limit: .seconds(150)) {
            let (status, body) = try await cloud.curl(["-H", "Authorization: Bearer \(token)", "\(url)/v1/meters"])
            guard status == 200 else { return false }
            let readings = try WireJSON.decode(MeterPage.self, from: Data(body.utf8)).readings
            for (earlier, later) in zip(readings, readings.dropFirst()) {
                #expect(later.sequence == earlier.sequence + 1)
                #expect(later.period.start == earlier.period.end)
            }
            return readings.count >= 2
        }
        try await cloud.until("the user is charged", limit: .seconds(60)) {
            try await cloud.json([ChargeView].self, ["charge", "list"]).contains { $0.amount.microUnits > 0 }
        }
    }

    private func theLedgerSumsToZero(_ cloud: LocalCloud) async throws {
        let variables = try await cloud.variables()
        let (url, token) = (variables["BOURSE_EXCHANGE_URL"] ?? "", variables["BOURSE_EXCHANGE_TOKEN"] ?? "")
        let (status, body) = try await cloud.curl(["-H", "Authorization: Bearer \(token)", "\(url)/v1/trial-balance"])
        #expect(status == 200)
        let trial = try WireJSON.decode(TrialBalance.self, from: Data(body.utf8))
        #expect(trial.totals.allSatisfy { $0.microUnits == 0 })
        let sums = Dictionary(grouping: trial.balances, by: \.amount.currency).mapValues { $0.reduce(0) { $0 + $1.amount.microUnits } }
        #expect(sums.values.allSatisfy { $0 == 0 })
        #expect(trial.balances.contains { $0.account == "cash" && $0.amount.microUnits != 0 })
    }

    private func refusals(_ cloud: LocalCloud) async throws {
        let variables = try await cloud.variables()
        let (url, token) = (variables["BOURSE_EXCHANGE_URL"] ?? "", "Authorization: Bearer \(variables["BOURSE_EXCHANGE_TOKEN"] ?? "")")
        let post = ["-X", "POST", "-H", token, "-H", "Content-Type: application/json"]
        #expect(try await cloud.curl(post + ["-d", "{\"name\":", "\(url)/v1/participants"]).status == 422)
        #expect(try await cloud.curl(["\(url)/v1/participants"]).status == 401)
        #expect(try await cloud.curl(["-H", token, "\(url)/v1/nothing-here"]).status == 404)
        #expect(try await cloud.curl(["-X", "DELETE", "-H", token, "\(url)/v1/participants"]).status == 405)
        #expect(try await cloud.curl(["-H", token, "\(url)/v1/orders?colour=red"]).status == 422)
        let key = ["-H", "Idempotency-Key: e2e-1"]
        let one = "{\"name\":\"Twin\",\"roles\":[\"buyer\"],\"currency\":\"EUR\"}"
        let first = try await cloud.curl(post + key + ["-d", one, "\(url)/v1/participants"])
        let again = try await cloud.curl(post + key + ["-d", one, "\(url)/v1/participants"])
        let other = try await cloud.curl(
            post + key + ["-d", one.replacingOccurrences(of: "Twin", with: "Other"), "\(url)/v1/participants"])
        #expect(first.status == 201)
        #expect(again.status == 201 && again.body == first.body)
        #expect(other.status == 409)
        // A peer listener shows nothing to callers without a certificate.
        let naked = try await cloud.run(["curl", "-sSk", "-m", "5", "https://127.0.0.1:7421/v1/instances"])
        #expect(naked.status != 0)
        let (status, output) = try await cloud.run([
            cloud.executable, "instance", "launch", "--image", "bourse-guest", "--type", "m5.xlarge", "--count", "50",
        ])
        #expect(status != 0)
        #expect(output.contains("sourcing.capacity"), "\(output)")
    }

    private func terminates(_ cloud: LocalCloud, _ machine: ManagedInstanceView) async throws {
        try await cloud.bourse(["instance", "terminate", machine.id.description])
        try await cloud.until("it is terminated") { try await cloud.instance(machine.id).state == .terminated }
        let (_, processes) = try await Shell.run(["pgrep", "-f", "\(cloud.home).*\(machine.id)"])
        #expect(processes.isEmpty, "no QEMU is left")
        let hosts = try await cloud.json([HostView].self, ["host", "list"])
        #expect(hosts.allSatisfy { $0.allocated == .zero && $0.instances == 0 })
    }
}
