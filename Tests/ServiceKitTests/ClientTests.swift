import CloudAPI
import CloudClient
import Testing

@Suite struct ClientTests {
    /// A port that nobody listens on.
    @Test(.timeLimit(.minutes(5))) func whoIsNotThereIsSaidInPlainWords() async throws {
        let client = try CloudClient(base: "http://127.0.0.1:1")
        try await client.closing { client in
            do {
                _ = try await client.call(NoteAPI.list)
                Issue.record("somebody answered")
            } catch {
                #expect("\(error)" == "http://127.0.0.1:1 cannot be reached: connection refused")
            }
        }
    }
}
