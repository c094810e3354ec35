/// Ages cut into steps: five minutes at first, from an hour on a fifth longer each than the one before.
///
/// An age lies in step k when it is above `edges[k]` and at most `edges[k + 1]`; the last step has no end.
package struct AgeGrid: Sendable {
    /// Lower edges in seconds, 0 first.
    package let edges: ContiguousArray<Int64>

    init() {
        var edges: ContiguousArray<Int64> = []
        var edge: Int64 = 0
        while edge < 30 * 86_400 {
            edges.append(edge)
            edge = edge < 3_600 ? edge + 300 : (edge * 6 / 5 + 299) / 300 * 300
        }
        self.edges = edges
    }

    var count: Int { edges.count }

    func step(of age: Int64) -> Int {
        var (low, high) = (0, edges.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if edges[middle] < age { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// An age in the middle of a step.
    func middle(of step: Int) -> Int64 { step + 1 < edges.count ? (edges[step] + edges[step + 1]) / 2 : edges[step] }
}
