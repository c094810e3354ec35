public import CloudAPI

extension CloudClient {
    /// Changes what is said of something, and nothing of what somebody else changes meanwhile: it is read, changed and written on
    /// condition that it is still what was read, and all of that again when it is not.
    /// - Parameter settings: what of the answer is written back.
    public func change<View, Settings>(
        _ show: Endpoint<Empty, View>, _ put: Endpoint<Settings, View>, path: [String: String],
        _ settings: (View) -> Settings, _ edit: (inout Settings) throws -> Void
    ) async throws -> View {
        var attempt: UInt64 = 1
        while true {
            let (view, tag) = try await tagged(show, path: path, body: Empty())
            var wanted = settings(view)
            try edit(&wanted)
            do {
                return try await call(put, path: path, body: wanted, condition: tag.map { .match($0) })
            } catch let problem as ProblemDocument where problem.status == 412 && attempt < Self.mostAttempts {
                // Of many that change the same, each attempt lets one through; apart from each other they are quicker.
                try await Task.sleep(for: .milliseconds(UInt64.random(in: 0..<20 * attempt)))
                attempt += 1
            }
        }
    }

    private static let mostAttempts: UInt64 = 30
}
