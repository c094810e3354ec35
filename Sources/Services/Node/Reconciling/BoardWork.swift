/// What a board keeps of each instance, volume and network beside what it is: whether a task works on it, and how much of it connect has heard.
struct BoardWork: Sendable {
    /// A task is taking steps for it.
    private(set) var isUnderWay = false
    /// Something changed while it was; look again.
    private var isDirty = false
    /// Counts what connect should hear of.
    private(set) var version = 1
    private var reportedVersion = 0

    var isNews: Bool { version > reportedVersion }

    /// True when the caller is to take the steps; else whoever does is told to look again.
    mutating func begin() -> Bool {
        if isUnderWay { isDirty = true }
        defer { isUnderWay = true }
        return !isUnderWay
    }

    /// True when the work is over; false when something changed meanwhile.
    mutating func end() -> Bool {
        isUnderWay = isDirty
        defer { isDirty = false }
        return !isDirty
    }

    mutating func noteChanged() { version += 1 }
    mutating func noteReported(_ version: Int) { reportedVersion = max(reportedVersion, version) }
}
