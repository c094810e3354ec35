/// The names there are, as the nearest thing to one there is not: those spelled like it first, and no more than a reader takes in.
public enum NearestNames {
    /// So many names are told.
    public static let most = 5
    /// Of more names than this, those that begin alike are told: comparing all of them letter by letter takes too long.
    private static let mostCompared = 2_000

    /// E.g. `pod-1` or `one of: pod-1, pod-2, and 7 more`; nil when there are none.
    public static func text(_ names: some Collection<String>, to asked: String, most: Int = most) -> String? {
        let names = Set(names)
        guard let only = names.first else { return nil }
        if names.count == 1 { return only }
        let told = sorted(names, by: asked).prefix(most)
        let rest = names.count - told.count
        return "one of: " + told.joined(separator: ", ") + (rest > 0 ? ", and \(rest) more" : "")
    }

    private static func sorted(_ names: Set<String>, by asked: String) -> [String] {
        let wanted = Array(asked.lowercased().utf8.prefix(64))
        let isMany = names.count > mostCompared
        return names.map { name in
            let own = Array(name.lowercased().utf8.prefix(64))
            return (name: name, distance: isMany ? -zip(own, wanted).prefix { $0 == $1 }.count : distance(own, wanted))
        }.sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }.map(\.name)
    }

    /// How many letters have to be added, dropped or replaced (Levenshtein, 1966).
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }
}

/// A number and what is counted: `1 host`, `2 hosts`.
/// - Parameter plural: when it is not the noun with an s.
public func counted(_ count: some BinaryInteger, _ noun: String, plural: String? = nil) -> String {
    "\(count) " + (count == 1 ? noun : plural ?? noun + "s")
}
