import ArgumentParser
import CloudAPI
import CloudClient
import Primitives

extension PodCommand {
    struct Rebalance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Empty hosts of a pod, clear one for a large machine, or relieve busy ones; without --plan or --apply: how far the latest one is.",
            discussion: """
                bourse pod rebalance nas-1 --plan --restart
                bourse pod rebalance nas-1 --apply --restart --most-moves 40
                bourse pod rebalance nas-1 --plan --room-vcpu 32 --room-memory 131072 --restart
                bourse pod rebalance nas-1 --plan --relieve 80 --restart
                """)

        enum Deed: String, EnumerableFlag {
            case plan, apply, cancel
            static func help(for value: Deed) -> ArgumentHelp? {
                switch value {
                case .plan: "Say what would move, and do nothing."
                case .apply: "Move it, round by round."
                case .cancel: "Begin no more moves; what is on its way arrives."
                }
            }
        }

        @Argument var pod: String
        @Flag var deed: Deed?
        @Option(help: "Clear one host for a machine with so many vCPU …") var roomVcpu: Int64?
        @Option(help: "… so many MiB of memory …") var roomMemory: Int64?
        @Option(help: "… and so many MiB of disk; without any of the three as many hosts as possible are emptied.") var roomDisk: Int64?
        @Option(help: "Take machines from hosts that are busier than so many percent, 10 to 100.") var relieve: Int64?
        @Option(help: "Moves altogether, 1 to 1000.") var mostMoves: Int64 = 20
        @Option(help: "Moves a host takes part in at once, 1 to 16.") var perHost: Int64 = 2
        @Flag(help: "Running machines may be shut down and started again elsewhere.") var restart = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            let most: Int64 = 1 << 40
            for (name, amount) in [("room-vcpu", roomVcpu), ("room-memory", roomMemory), ("room-disk", roomDisk)] {
                guard let amount, !(0...most).contains(amount) else { continue }
                throw ValidationError("--\(name) is 0 to \(most), not \(amount).")
            }
        }

        func run() async throws {
            let (path, terms, deed) = (["pod": pod], terms, deed)
            let view = try await Target.connect.with { client in
                switch deed {
                case .plan: try await client.call(ConnectAPI.planRebalancing, path: path, body: terms)
                case .apply: try await client.call(ConnectAPI.startRebalancing, path: path, body: terms)
                case .cancel: try await client.call(ConnectAPI.cancelRebalancing, path: path)
                case nil: try await client.call(ConnectAPI.showRebalancing, path: path)
                }
            }
            try show(view)
        }

        private var terms: RebalancePod {
            let room = Resources(milliCPU: (roomVcpu ?? 0) * 1_000, memoryMiB: roomMemory ?? 0, diskMiB: roomDisk ?? 0)
            return RebalancePod(
                goal: relieve != nil ? .relieve : room == .zero ? .consolidate : .makeRoom, room: room == .zero ? nil : room,
                mostMoves: mostMoves, perHost: perHost, mayRestart: restart, busyPercent: relieve)
        }

        private static func cost(_ moves: [RebalancingMoveView]) -> String {
            let (memory, restarts) = (moves.map(\.memoryMiB).reduce(0, +), moves.count(where: \.restarts))
            let rounds = (moves.map(\.round).max() ?? 0) + 1
            return [
                "\(counted(moves.count, "move")) in \(counted(rounds, "round"))",
                memory == 0 ? "no memory to copy" : Resources(memoryMiB: memory).amounts,
                counted(restarts, "restart"),
            ].joined(separator: "; ") + "."
        }

        /// What is reached, in units people know.
        private static func outcome(_ view: RebalancingView) -> String {
            let isAtBest = view.goal == .relieve && view.moves.contains { $0.state == .givenUp }
            let atBest = isAtBest ? " at best" : ""
            switch view.goal {
            case .consolidate: return "Hosts with machines: \(view.before), afterwards \(view.after)."
            case .relieve: return "Load above the limit: \(threads(view.before)), afterwards \(threads(view.after))\(atBest)."
            case .makeRoom where view.before == 0: return "A host has the room already."
            case .makeRoom:
                let missing = view.missing.map(\.amounts) ?? "\(percent(view.before)) of what the room needs"
                return "Missing on the host that comes nearest: \(missing); afterwards \(view.after == 0 ? "nothing" : "the same")."
            }
        }

        private static func threads(_ milli: Int64) -> String { decimalText(microUnits: milli * 1_000) + " hardware threads" }
        private static func percent(_ millionths: Int64) -> String { decimalText(microUnits: millionths * 100) + " %" }

        private static func whyNothing(_ view: RebalancingView) -> String {
            if view.before == 0 { return "It is so already." }
            return "Nothing that may be moved would help\(view.restartHelps == true ? "; --restart allows more" : "")."
        }

        private static func progress(_ view: RebalancingView) -> String? {
            let isCancelled = view.cancelled == true
            switch (view.began, view.ended) {
            case (nil, _): return view.moves.isEmpty ? nil : "Nothing is done yet: --apply does it."
            case (let began?, nil):
                let onTheWay = view.moves.count { $0.state == .moving }
                guard isCancelled else { return "Under way since \(timeText(began)) UTC." }
                return "Cancelled: no more moves begin; \(counted(onTheWay, "machine")) still on the way."
            case (_, let ended?): return (isCancelled ? "Cancelled, and over since " : "Over since ") + "\(timeText(ended)) UTC."
            }
        }

        private func show(_ view: RebalancingView) throws {
            guard output.output == .table else { return try output.item(view, []) }
            try output.list(
                view.moves, columns: ["round", "machine", "from", "to", "memory MiB", "restart", "state"], empty: Self.whyNothing(view)
            ) {
                [
                    "\($0.round + 1)", $0.instance.description, $0.sourceName ?? $0.source.description,
                    $0.targetName ?? $0.target.description, "\($0.memoryMiB)",
                    $0.restarts ? "yes" : "no", $0.state.rawValue + ($0.reason.map { ": \($0)" } ?? ""),
                ]
            }
            if !view.moves.isEmpty { print("\n\(Self.cost(view.moves))") }
            print("\n\(Self.outcome(view))")
            if let leftOut = view.leftOut {
                print("Left where they are: \(leftOut.map { "\(counted($0.machines, "machine")) by \($0.rule)" }.joined(separator: ", ")).")
            }
            if let progress = Self.progress(view) { print(progress) }
        }
    }
}
