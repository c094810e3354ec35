public import Primitives

/// An average of what was measured over stretches of time, in which what is older counts less: a stretch as long as `memory` counts as much
/// as all that was before. Integers only, so that the same measurements give the same average anywhere.
public struct LoadAverage: Hashable, Sendable {
    public static let memory = Span.minutes(10)

    /// Thousandths of the unit that was measured.
    private var thousandths: Int64
    /// How long was measured, up to `memory`.
    private var known: Span

    /// What was measured in the first stretch.
    public init(_ value: Int64, over stretch: Span) {
        thousandths = Self.clamped(value) * 1_000
        known = min(max(stretch, Span(microseconds: 1)), Self.memory)
    }

    public mutating func add(_ value: Int64, over stretch: Span) {
        let stretch = min(max(stretch, .zero), Self.memory)
        let (new, all) = (stretch.microseconds / 1_000, (stretch + known).microseconds / 1_000)
        if all > 0 { thousandths += (Self.clamped(value) * 1_000 - thousandths) * new / all }
        known = min(known + stretch, Self.memory)
    }

    public var value: Int64 { (thousandths + 500) / 1_000 }

    /// A measurement beyond every machine is a mistake, and must not overflow the average.
    private static func clamped(_ value: Int64) -> Int64 { min(max(value, 0), 1_000_000_000) }
}
