import CloudAPI
import Primitives
import Synchronization

/// Manifests of images that were looked up. An image is named by its content, so what was read once stays true.
final class ImageManifests: Sendable {
    private let known = Mutex<[ImageID: ImageManifest]>([:])

    subscript(id: ImageID) -> ImageManifest? { known.withLock { $0[id] } }
    func keep(_ manifest: ImageManifest) { known.withLock { $0[manifest.id] = manifest } }
}
