import Fleet
import Primitives
import Testing

@Suite struct AddressPoolTests {
    @Test func aRangeHasReservedAddressesAsInEC2() throws {
        let range = try AddressRange("10.1.2.0/24")
        #expect(range.text == "10.1.2.0/24" && range.usable == 251)
        #expect(GuestNetwork.text(range.gateway) == "10.1.2.1")
        #expect(GuestNetwork.text(range.first) == "10.1.2.4" && GuestNetwork.text(range.last) == "10.1.2.254")
        #expect(try AddressRange("192.168.7.16/28").usable == 11)
        #expect(try AddressRange("100.64.0.0/16").usable == 65_531)
        #expect(try AddressRange("172.31.0.0/20").isUsable(range.first) == false)
    }

    /// What is refused, and what would do instead.
    @Test(
        arguments: [
            ("10.1.0.0/15", "10.1.0.0/16"), ("10.1.0.0/29", "10.1.0.0/28"), ("10.1.0.7/24", "10.1.0.0/24"), ("8.8.8.0/24", "10.1.0.0/24"),
            ("169.254.0.0/16", "10.1.0.0/16"), ("172.32.0.0/16", "10.1.0.0/16"), ("100.128.0.0/16", "10.1.0.0/16"),
            ("10.1.0.0", "10.1.0.0/24"), ("10.1.0.0/+24", "10.1.0.0/24"), ("10.1.0/24", "10.1.0.0/24"), ("", "10.1.0.0/24"),
            ("10.1.0.0/24/3", "10.1.0.0/24"), ("fd00::/64", "10.1.0.0/24"), ("10.1.0.256/24", "10.1.0.0/24"),
        ]) func nonsenseIsRefused(_ text: String, _ nearest: String) throws
    {
        let refusal = #expect(throws: Refusal.self) { _ = try AddressRange(text) }
        #expect(refusal?.rule == "network.cidr" && refusal?.nearest == nearest)
        #expect(try AddressRange(nearest).text == nearest, "what is said to be allowed is")
    }

    /// Against a plain set of addresses: what is free, what is next, and what is refused.
    @Test(arguments: 0..<30 as Range<UInt64>) func takesAndGivesBackLikeASet(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let range = try AddressRange(["10.0.0.0/28", "10.0.0.0/25", "192.168.4.0/22"][Int(seed % 3)])
        let all = (range.first...range.last).map { $0 }
        var pool = AddressPool(range)
        var taken: Set<UInt32> = []
        for _ in 0..<600 {
            let address = UInt32.random(in: range.base...(range.base + range.size - 1), using: &generator)
            if Int.random(in: 0..<3, using: &generator) > 0 {
                let isTaken = pool.take(address)
                let isNew = range.isUsable(address) && taken.insert(address).inserted
                #expect(isTaken == isNew)
            } else {
                let isReleased = pool.release(address)
                let wasTaken = taken.remove(address) != nil
                #expect(isReleased == wasTaken)
            }
            #expect(pool.taken == Int64(taken.count) && pool.free == Int64(all.count - taken.count))
            #expect(pool.isTaken(address) == taken.contains(address))
            let others = Set(all.shuffled(using: &generator).prefix(3))
            #expect(pool.lowestFree() == all.first { !taken.contains($0) })
            let open = all.filter { !taken.contains($0) && !others.contains($0) }
            #expect(pool.lowestFree(besides: others) == open.first)
            #expect(pool.free(near: address, besides: others) == (open.first { $0 >= address } ?? open.last))
        }
        var anew = AddressPool(range)
        for address in taken.shuffled(using: &generator) {
            let isTaken = anew.take(address)
            #expect(isTaken)
        }
        #expect(anew == pool, "whatever was taken and given back before")
    }

    @Test func itFillsToTheLastAddressAndSaysSo() throws {
        let network = NetworkID(bits: 1)
        var pool = AddressPool(try AddressRange("10.0.0.0/28"))
        for offset in 4..<15 as Range<UInt32> {
            let address = try pool.choose(nil, besides: [], of: network)
            #expect(address == pool.range.base + offset)
            let isTaken = pool.take(address)
            #expect(isTaken)
        }
        let full = #expect(throws: Refusal.self) { _ = try pool.choose(nil, besides: [], of: network) }
        #expect(full?.rule == "network.full" && full?.facts["addresses"] == 11 && full?.nearest != nil)
        let taken = #expect(throws: Refusal.self) { _ = try pool.choose(pool.range.first, besides: [], of: network) }
        #expect(taken?.rule == "network.address" && taken?.nearest == nil, "there is nothing near")
        let isReleased = pool.release(pool.range.base + 9)
        #expect(isReleased)
        let near = #expect(throws: Refusal.self) { _ = try pool.choose(pool.range.first, besides: [], of: network) }
        #expect(near?.nearest == "10.0.0.9")
        let gateway = #expect(throws: Refusal.self) { _ = try pool.choose(pool.range.gateway, besides: [], of: network) }
        #expect(gateway?.rule == "network.address" && gateway?.nearest == "10.0.0.9")
        #expect(throws: Refusal.self) { _ = try pool.choose(nil, besides: [pool.range.base + 9], of: network) }
    }
}
