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
            return "\(moves.count) moves in \((moves.map(\.round).max() ?? 0) + 1) rounds, \(memory) MiB of memory, \(restarts) restarts."
        }

        private static func measure(_ goal: RebalancingGoalName) -> String {
            switch goal {
            case .consolidate: "Hosts with machines"
            case .makeRoom: "Missing of the room, in millionths"
            case .relieve: "Load above the limit, in thousandths of a hardware thread"
            }
        }

        private func show(_ view: RebalancingView) throws {
            guard output.output == .table else { return try output.item(view, []) }
            try output.list(
                view.moves, columns: ["round", "machine", "from", "to", "memory MiB", "restart", "state"],
                empty: view.before == 0
                    ? "It is so already."
                    : "Nothing that may be moved would help\(restart || deed != .plan ? "" : "; --restart allows more")."
            ) {
                [
                    "\($0.round + 1)", $0.instance.description, $0.sourceName ?? $0.source.description,
                    $0.targetName ?? $0.target.description, "\($0.memoryMiB)",
                    $0.restarts ? "yes" : "no", $0.state.rawValue + ($0.reason.map { ": \($0)" } ?? ""),
                ]
            }
            if !view.moves.isEmpty { print("\n\(Self.cost(view.moves))") }
            print("\n\(Self.measure(view.goal)): \(view.before), afterwards \(view.after).")
            switch (view.began, view.ended) {
            case (nil, _): if !view.moves.isEmpty { print("Nothing is done yet: --apply does it.") }
            case (let began?, nil): print("Under way since \(timeText(began)) UTC.")
            case (_, let ended?): print("Over since \(timeText(ended)) UTC.")
            }
        }
    }
}
