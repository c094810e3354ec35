public import Foundation
public import Primitives

/// Where the bytes of image files come from, e.g. connect over HTTP with `Range`.
public protocol ImageSource: Sendable {
    /// Hands over the bytes of the file from `offset` on, in order.
    func read(sha256: String, from offset: Int64, _ consume: (Data) async throws -> Void) async throws
}

/// The host's copies of image files, named by their content. Real: `LocalImageStore`. Simulated: `SimulatedImageStore`.
public protocol ImageStore: Sendable {
    /// The path of the file, fetched and verified unless it is here. A fetch that broke off goes on where it stopped.
    func ensure(sha256: String, bytes: Int64, from source: any ImageSource) async throws(Refusal) -> String

    /// Nil when the file is not here whole.
    func path(sha256: String) async -> String?

    func contents() async throws(Refusal) -> [String]

    /// Refuses while a disk rests on the file.
    func ensureRemoved(sha256: String, unlessUsedIn storage: any RuntimeStorage) async throws(Refusal)
}
