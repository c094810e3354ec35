import Fleet
import Primitives
import Testing

@Suite struct RebalancingRunTests {
    private let hosts = (1...4).map { HostID(bits: UInt64($0)) }

    private func move(_ number: UInt64, from source: Int, to target: Int, round: Int) -> Migration {
        Migration(
            instance: InstanceID(bits: number), source: hosts[source], target: hosts[target], memoryMiB: 1_024, downtime: .restart,
            takes: .zero, round: round)
    }

    private func run(_ moves: [Migration]) -> RebalancingRun { RebalancingRun(entries: moves.map { .init($0) }) }

    @Test func aRoundBeginsWhenTheOneBeforeIsOver() {
        var run = run([move(1, from: 0, to: 1, round: 0), move(2, from: 0, to: 1, round: 0), move(3, from: 2, to: 0, round: 1)])
        var where_: [UInt64: RebalancingRun.Situation] = [1: .atRest(hosts[0]), 2: .changing, 3: .atRest(hosts[2])]
        func advance() -> [Int] { run.advance { where_[$0.bits] ?? .gone } }
        #expect(advance() == [0], "what changes comes to rest first")
        run.begin(0)
        where_[1] = .moving
        where_[2] = .atRest(hosts[0])
        #expect(advance() == [1])
        run.begin(1)
        where_[1] = .atRest(hosts[1])
        where_[2] = .moving
        #expect(advance() == [] && run.entries[0].progress == .moved)
        where_[2] = .atRest(hosts[3])
        #expect(advance() == [] && run.entries[1].progress == .moved, "it found another host on the way")
        #expect(advance() == [2])
        run.begin(2)
        where_[3] = .atRest(hosts[2])
        #expect(advance() == [] && run.isOver)
        guard case .givenUp = run.entries[2].progress else { return #expect(Bool(false), "it is where it was") }
    }

    /// What is given up is not reached.
    @Test func aMoveThatIsGivenUpKeepsItsHost() {
        let moves = [move(1, from: 0, to: 1, round: 0), move(2, from: 0, to: 1, round: 0), move(3, from: 2, to: 1, round: 1)]
        var run = run(moves)
        #expect(run.reached(.hosts, before: 9, after: 7) == 7)
        run.give(up: 0, "It has too little left.")
        #expect(run.reached(.hosts, before: 9, after: 7) == 8)
        run.give(up: 1, "Its move was given up.")
        #expect(run.reached(.hosts, before: 9, after: 7) == 8, "the same host")
        #expect(run.reached(.room, before: 9, after: 0) == 9)
        #expect(run.reached(.load, before: 9, after: 7) == 7 && !run.isCancelled)
        run.cancel()
        #expect(run.isCancelled && run.isOver && run.reached(.hosts, before: 9, after: 7) == 9)
        #expect(run.reached(.load, before: 9, after: 7) == 9)
        var left = self.run(moves)
        _ = left.advance { _ in .gone }
        #expect(left.entries[0].progress.isOver && left.reached(.hosts, before: 9, after: 7) == 7, "what is gone keeps no host")
    }

    @Test func whatIsNotAsPlannedIsLeftAlone() {
        var run = run([move(1, from: 0, to: 1, round: 0), move(2, from: 0, to: 1, round: 0), move(3, from: 2, to: 0, round: 1)])
        let due = run.advance { $0.bits == 1 ? .atRest(hosts[2]) : $0.bits == 2 ? .gone : .atRest(hosts[2]) }
        #expect(due == [])
        #expect(run.entries.prefix(2).allSatisfy(\.progress.isOver) && !run.isOver)
        run.cancel()
        #expect(run.isOver && run.advance { _ in .atRest(hosts[2]) } == [])
    }

    /// Whatever happens to the instances, rounds never overlap, nothing is begun twice, and the run ends.
    @Test(arguments: 0..<200) func aRunEnds(_ seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var round = 0
        let moves = (1...8).map { number -> Migration in
            if Bool.random(using: &generator) { round += 1 }
            return move(UInt64(number), from: 0, to: Int.random(in: 1...3, using: &generator), round: round)
        }
        var run = run(moves)
        var situations: [InstanceID: RebalancingRun.Situation] = [:]
        for move in moves { situations[move.instance] = .atRest(hosts[0]) }
        var begun: Set<Int> = []
        for _ in 0..<400 where !run.isOver {
            for index in run.advance({ situations[$0] ?? .gone }) {
                #expect(begun.insert(index).inserted, "twice")
                #expect(run.entries.allSatisfy { $0.move.round >= moves[index].round || $0.progress.isOver }, "rounds overlap")
                run.begin(index)
                situations[moves[index].instance] = .moving
            }
            for instance in situations.keys.sorted() {
                switch Int.random(in: 0..<10, using: &generator) {
                case 0: situations[instance] = .atRest(hosts[Int.random(in: 0..<4, using: &generator)])
                case 1 where situations[instance] != .moving: situations[instance] = .changing
                case 2: situations[instance] = .gone
                case 3: if situations[instance] == .changing { situations[instance] = .atRest(hosts[0]) }
                default: break
                }
            }
        }
        #expect(run.isOver)
    }
}
