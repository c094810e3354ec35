import CloudAPI
import CloudClient

// Objects of the topology that several people change at the same time.

/// Adds an object; refused when there is one of that name.
func create<Settings, View>(
    _ put: Endpoint<Settings, View>, _ path: [String: String], _ settings: Settings
) async throws -> View {
    try await Target.connect.with { try await $0.call(put, path: path, body: settings, condition: .new) }
}

/// Changes what is said of an object, and nothing of what somebody else changes meanwhile.
func change<View, Settings>(
    _ show: Endpoint<Empty, View>, _ put: Endpoint<Settings, View>, _ path: [String: String],
    _ settings: (View) -> Settings, _ edit: (inout Settings) throws -> Void
) async throws -> View {
    try await Target.connect.with { try await $0.change(show, put, path: path, settings, edit) }
}
