import CloudAPI
import CloudClient
import Drivers
import Foundation
import ServiceKit

/// Image files from connect's peer listener.
struct ConnectImages: ImageSource {
    let identity: ProgramIdentity

    func read(sha256: String, from offset: Int64, _ consume: (Data) async throws -> Void) async throws {
        try await identity.exchange.download(
            path: ConnectAPI.imageFilePath(sha256: sha256), from: offset, deadline: .seconds(1_800), consume)
    }
}
