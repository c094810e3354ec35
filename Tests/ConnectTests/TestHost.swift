import CloudAPI
import Foundation
import PKI
import Primitives
import ServiceKit
import TestSupport

/// What a node says, without a node.
struct TestHost: Sendable {
    let id: HostID
    let credential: Credential

    static let hello = NodeHello(
        hostName: "host-1", capacity: Resources(milliCPU: 8_000, memoryMiB: 32_768, diskMiB: 200_000), hypervisor: "test",
        agentVersion: "1",
        guestNetwork: "10.77.0.1/16")

    /// Joins the datacenter's pod as a node would: with a one-time token and a signing request.
    static func enrolled(
        at connect: ConnectFixture, for enrolment: CreateNodeEnrolment = CreateNodeEnrolment(), _ hello: NodeHello = hello
    ) async throws -> TestHost {
        let token = try await connect.manage(ConnectAPI.createNodeEnrolment, body: enrolment).token
        let key = CredentialKey()
        let answer = try await connect.manage(ConnectAPI.enrolNode, body: Enrol(token: token, csr: try key.csrPEM(), names: []))
        let credential = try key.credential(chainPEM: answer.chain)
        let welcome = try await connect.call(ConnectAPI.hello, as: credential, body: hello)
        return TestHost(id: welcome.host, credential: credential)
    }

    static func instance(_ number: UInt64, _ image: ImageID, resources: Resources = Town.lot) -> CreateInstance {
        CreateInstance(
            id: InstanceID(bits: number), image: image, offering: "m1.small", resources: resources, keys: [], userData: nil,
            reservation: ReservationID(bits: number), launchIndex: 0, account: AccountID(bits: 1), tags: [:], zone: nil)
    }
}

extension ConnectFixture {
    /// An image of a few bytes, in connect's store.
    func image() async throws -> ImageID {
        try await manage(ConnectAPI.importImage, body: ImportImage(folder: try await imageFolder())).id
    }

    /// What an image is imported from.
    func imageFolder(bytes: Int = 4) async throws -> String {
        let folder = town.directory.file("image")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data((0..<bytes).map { UInt8(truncatingIfNeeded: $0 >> 8) }).write(to: URL(fileURLWithPath: folder + "/disk.qcow2"))
        let manifest = """
            {"name":"tiny","description":"nothing","architecture":"x86_64","disk":"disk.qcow2","minimumMemoryMiB":64,
            "virtualSizeMiB":64,"user":"root","sha256":{}}
            """
        try Data(manifest.utf8).write(to: URL(fileURLWithPath: folder + "/manifest.json"))
        return folder
    }
}

extension ConnectFixture {
    /// Gives the first pod another storage architecture, before any host joins it.
    func setStorage(_ storage: StorageArchitecture) async throws {
        let path = ["pod": "pod-1"]
        var settings = try await manage(ConnectAPI.showPod, path: path, body: Empty()).settings
        settings.storage = storage
        _ = try await manage(ConnectAPI.putPod, path: path, body: settings)
    }
}
