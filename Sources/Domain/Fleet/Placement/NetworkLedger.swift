import Primitives

/// Which networks have instances in which pods. A network without any is forgotten.
struct NetworkLedger: Sendable {
    private struct Network: Sendable, BitwiseCopyable {
        var id: UInt64
        /// Bits of the pods with instances, of the first 64.
        var pods: UInt64 = 0
        var instances: Int32 = 0
    }

    private var numbers = FlatTable()
    private var networks = FlatArray<Network>()
    private var unused = FlatArray<Int32>()
    /// Instances of each network in each pod.
    private var counts = FlatTable()

    var footprint: Int { numbers.footprint + networks.footprint + unused.footprint + counts.footprint }

    /// -1: nobody is on it.
    func find(_ id: NetworkID) -> Int32 { numbers[id.bits] }

    /// Which of the first 64 pods have instances of a network, as bits.
    @inline(__always) func nearPods(_ number: Int32) -> UInt64 { networks[Int(number)].pods }

    func has(_ number: Int32, in pod: Int32) -> Bool { counts[Self.key(number, pod)] > 0 }

    /// Returns the network's number.
    mutating func enter(_ id: NetworkID, _ pod: Int32) -> Int32 {
        var number = numbers[id.bits]
        if number < 0 { number = open(id) }
        enter(number, pod)
        return number
    }

    private mutating func enter(_ number: Int32, _ pod: Int32) {
        networks[Int(number)].instances += 1
        if counts.increment(Self.key(number, pod)) == 1, pod < 64 { networks[Int(number)].pods |= 1 << UInt64(pod) }
    }

    mutating func exit(_ number: Int32, _ pod: Int32) {
        if counts.decrement(Self.key(number, pod)) == 0, pod < 64 { networks[Int(number)].pods &= ~(1 << UInt64(pod)) }
        networks[Int(number)].instances -= 1
        guard networks[Int(number)].instances == 0 else { return }
        numbers.remove(networks[Int(number)].id)
        unused.append(number)
    }

    func id(_ number: Int32) -> NetworkID { NetworkID(bits: networks[Int(number)].id) }

    private mutating func open(_ id: NetworkID) -> Int32 {
        let number = unused.popLast() ?? Int32(networks.count)
        if Int(number) == networks.count { networks.append(Network(id: id.bits)) } else { networks[Int(number)] = Network(id: id.bits) }
        numbers.set(id.bits, number)
        return number
    }

    @inline(__always) private static func key(_ network: Int32, _ pod: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: network)) << 32 | UInt64(UInt32(bitPattern: pod))
    }
}
