import Primitives

/// A row of hosts for each value of an attribute.
struct KeyedRows<Key: Hashable & Sendable>: Sendable {
    private(set) var values = Interner<Key>()
    private var rowNumbers: ContiguousArray<Int32> = []

    /// Nil: no host ever had it.
    @inline(__always) func row(_ key: Key) -> Int32? { values.find(key).map { rowNumbers[Int($0)] } }

    func row(number: Int32) -> Int32 { rowNumbers[Int(number)] }

    var count: Int { values.count }

    /// The number of a value; a new one gets an empty row.
    mutating func intern(_ key: Key, _ rows: inout HostRows) -> Int32 {
        let number = values.intern(key)
        if rowNumbers.count == number { rowNumbers.append(rows.add()) }
        return number
    }

    mutating func set(_ key: Key, _ host: Int, _ rows: inout HostRows) {
        rows.set(rowNumbers[Int(intern(key, &rows))], host)
    }

    func clear(_ host: Int, _ rows: inout HostRows) {
        for row in rowNumbers { rows.clear(row, host) }
    }
}

/// A row of hosts for each identifier, for those that every decision asks about: found without the hashing of dictionaries.
struct IDRows<Kind: IDKind>: Sendable {
    private var numbers = IDInterner<Kind>()
    private var rowNumbers: ContiguousArray<Int32> = []

    /// Nil: no host ever had it.
    @inline(__always) func row(_ id: ID<Kind>) -> Int32? { numbers.find(id).map { rowNumbers[Int($0)] } }

    mutating func set(_ id: ID<Kind>, _ host: Int, _ rows: inout HostRows) {
        let number = numbers.intern(id)
        if rowNumbers.count == number { rowNumbers.append(rows.add()) }
        rows.set(rowNumbers[Int(number)], host)
    }

    func clear(_ host: Int, _ rows: inout HostRows) {
        for row in rowNumbers { rows.clear(row, host) }
    }
}

/// The domains of one level and the hosts in each.
struct Domains: Sendable {
    private(set) var names = Interner<String>()
    /// By number; hosts in ascending order of their number.
    private(set) var hosts: ContiguousArray<ContiguousArray<Int32>> = []
    /// Domain of each host; -1: no such host.
    private(set) var of: ContiguousArray<Int32> = []

    var count: Int { names.count }

    mutating func join(_ host: Int, _ name: String) {
        let domain = Int(names.intern(name))
        while hosts.count <= domain { hosts.append([]) }
        while of.count <= host { of.append(-1) }
        of[host] = Int32(domain)
        let place = hosts[domain].firstIndex { $0 > host } ?? hosts[domain].count
        hosts[domain].insert(Int32(host), at: place)
    }

    mutating func leave(_ host: Int) {
        hosts[Int(of[host])].removeAll { $0 == host }
        of[host] = -1
    }
}
