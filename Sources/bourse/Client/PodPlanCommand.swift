import ArgumentParser
import Documents
import Fleet
import Foundation
import Primitives

extension PodCommand {
    struct Plan: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Work out how large a pod is, how many are needed, what limits them and what a lot costs.",
            discussion: """
                The file says what is to run, on which hosts, storage and network, and what that costs: docs/examples/pod-plan.yaml is \
                one, docs/topology.md says what each number means. Options take the place of what the file says. Prices and costs are \
                shown in whole units of the currency; in the file, and in JSON, they are in micro-units (millionths): 40000 is 0.04. \
                Nothing is asked of a connect.
                """)
        @Argument(help: "The input, YAML or JSON; - for standard input; an example when absent.") var file: String?
        @Option(help: "Machines to run now.") var instances: Int64?
        @Option(help: "More machines every month, in thousandths.") var growth: Int64?
        @Option(help: "Months to look ahead.") var months: Int64?
        @Option(help: "Oversubscription of processors in thousandths; 8000 is 8:1.") var cpu: Int64?
        @Option(help: "Most hosts in a pod.") var hosts: Int64?
        @Option(help: "Price per lot-hour in whole units of the currency, e.g. 0.04; in the file it is in micro-units, 40000.") var price:
            String?
        @Flag(help: "The same as -o json.") var json = false
        @Flag(help: "Print the input, to change and plan with, and do nothing.") var input = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            var plan = try file.map { try readYAML(PodPlanInput.self, $0) } ?? .example
            try apply(to: &plan)
            if input { return print(try YAMLDocument.write(plan), terminator: "") }
            var output = output
            if json { output.output = .json }
            try await explained { try PodCommand.show(try PodPlan(plan), of: plan, output) }
        }

        private func apply(to plan: inout PodPlanInput) throws {
            plan.demand.instances = instances ?? plan.demand.instances
            plan.demand.growthPerMonth = growth ?? plan.demand.growthPerMonth
            plan.demand.months = months ?? plan.demand.months
            plan.filling.cpuOversubscription = cpu ?? plan.filling.cpuOversubscription
            plan.floor.largestPod = hosts ?? plan.floor.largestPod
            if let price {
                guard let price = microUnits(decimal: price) else { throw ValidationError("'\(price)' is not a price such as 0.04.") }
                plan.lot.price = price
            }
        }
    }

    fileprivate static func show(_ plan: PodPlan, of input: PodPlanInput, _ output: OutputOptions) throws {
        guard output.output == .table else { return try output.item(plan, []) }
        print("What a full pod may have, the scarcest first:")
        try output.list(plan.podLimits, columns: ["limit", "there is", "a host takes", "hosts", "which"], limits(binding: plan))
        print("\nMachines of the mix on a full host, the scarcest first:")
        try output.list(plan.hostLimits, columns: ["component", "there is", "a machine takes", "machines"]) {
            [$0.name, "\($0.total)", "\($0.each)", "\($0.room)"]
        }
        print("\nWhat is needed:")
        try output.list(plan.steps, columns: ["month", "machines", "hosts", "pods"]) {
            ["\($0.month)", "\($0.instances)", "\($0.hosts)", "\($0.pods)"]
        }
        print("\nAt the end:")
        try output.item(plan, summary(plan, input))
    }

    private static func limits(binding plan: PodPlan) -> (PodPlan.Limit) -> [String] {
        { limit in
            let which = limit == plan.podLimits.first ? "binding" : limit == plan.podLimits.dropFirst().first ? "next" : ""
            return [limit.name, "\(limit.total)", "\(limit.each)", "\(limit.room)", which]
        }
    }

    private static func summary(_ plan: PodPlan, _ input: PodPlanInput) -> [(String, String?)] {
        let oversubscribed = [("cpu", plan.promised.cpu), ("memory", plan.promised.memory), ("disk", plan.promised.disk)]
        let allowed = [input.filling.cpuOversubscription, input.filling.memoryOversubscription, input.filling.diskOversubscription]
        return [
            (
                "Pod",
                "\(counted(plan.hostsPerPod, "host")), \(plan.spareHostsPerPod) of them spare; \(counted(plan.guestsPerPod, "machine"))"
            ),
            (
                "Pods",
                "\(plan.pods), with "
                    + [
                        counted(plan.hosts, "host"), counted(plan.racks, "rack"), counted(plan.switches, "switch", plural: "switches"),
                        counted(plan.arrays, "array"),
                    ].joined(separator: ", ")
            ),
            (
                "Oversubscription",
                zip(oversubscribed, allowed).filter { $0.0.1 > 0 }.map { "\($0.0) \(ratioText($0.1)) of \(ratioText($1))" }
                    .joined(separator: ", ")
            ),
            ("Power", "\(plan.watts / 1_000) kW of computers, \(plan.facilityWatts / 1_000) kW in all"),
            ("Cost a month", "\(money(plan.monthlyCost)), power \(money(plan.monthlyPowerCost)) of it"),
            ("Lots", "\(plan.lots), \(decimalText(microUnits: input.filling.sold * 1_000)) of them sold"),
            ("Cost per lot-hour", plan.costPerLotHour.map(money)),
            ("Price per lot-hour", money(input.lot.price)), ("Revenue a month", money(plan.monthlyRevenue)),
            ("Margin", plan.marginBasisPoints.map { decimalText(microUnits: Int64(clamping: Int128($0) * 10_000)) + " %" }),
        ]
    }

    private static func money(_ microUnits: Int64) -> String { decimalText(microUnits: microUnits) }
}

extension PodPlanInput {
    /// Two-socket servers of today in a hall of usual racks, on their own disks. Euro, in micro-units; sums are orders of magnitude to
    /// be replaced by one's own.
    fileprivate static let example = PodPlanInput(
        shapes: [
            Shape(name: "small", milliCPU: 1_000, memoryMiB: 2_048, diskMiB: 20_480, iops: 30, throughputKBps: 500, share: 60),
            Shape(name: "medium", milliCPU: 2_000, memoryMiB: 8_192, diskMiB: 51_200, iops: 100, throughputKBps: 2_000, share: 30),
            Shape(name: "large", milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 204_800, iops: 400, throughputKBps: 10_000, share: 10),
        ], demand: Demand(instances: 100_000, growthPerMonth: 40, months: 24),
        host: Host(milliCPU: 256_000, memoryMiB: 1_572_864, diskMiB: 29_296_875, watts: 900),
        filling: Filling(cpuOversubscription: 4_000, diskOversubscription: 1_500, packing: 900, spare: 30, sold: 750), storage: nil,
        network: Network(switches: 100, portsPerSwitch: 48, uplinksPerSwitch: 6, broadcastGuests: 262_144),
        floor: Floor(rackUnits: 42, rackWatts: 17_000, racks: 120, feedWatts: 2_000_000, pue: 1_300, largestPod: 10_000),
        costs: Costs(
            host: 520_000_000, rack: 900_000_000, networkSwitch: 350_000_000, power: 160_000, staffPerHost: 15_000_000,
            staffPerPod: 40_000_000_000), lot: Lot(milliCPU: 1_000, memoryMiB: 4_096, diskMiB: 20_480, price: 12_000))
}
