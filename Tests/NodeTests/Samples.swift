import CloudAPI
import Drivers
import Foundation
import Primitives

/// Distinct instances for tests.
func instance(_ number: UInt64) -> InstanceID { InstanceID(bits: 0x0bad_0000_0000_0000 | number) }

/// An intent of the usual kind; tests change what matters to them.
func sampleIntent(
    _ number: UInt64, generation: Int64 = 1, desired: DesiredState = .running, image: ImageManifest = sampleImage(), address: String? = nil
) -> InstanceIntent {
    InstanceIntent(
        instance: instance(number), generation: generation, desired: desired, reboots: 0, graceSeconds: 30, contract: ContractID(bits: 5),
        account: AccountID(bits: 6), reservation: ReservationID(bits: number), launchIndex: 0, offering: "general.small",
        resources: Resources(milliCPU: 1_000, memoryMiB: 128, diskMiB: 256), image: image, address: address ?? "10.99.0.1\(number)",
        macAddress: "02:00:00:00:01:0\(number)", hostName: "ip-10-99-0-1\(number)",
        keys: [SSHKey(name: "demo", publicKey: "ssh-ed25519 AAAA demo")],
        userData: Data("#!/bin/sh\necho hello\n".utf8).base64EncodedString(), tags: ["Name": "web", "a/b": "hidden"])
}

func sampleImage() -> ImageManifest {
    ImageManifest(
        id: ImageID(bits: 9), name: "sample", files: [ImageFile(part: .disk, sha256: String(repeating: "a", count: 64), bytes: 1)],
        commandLine: nil, minimumMemoryMiB: 64, virtualSizeMiB: 64)
}

extension InstanceIntent {
    func with(_ edit: (inout InstanceIntent) -> Void) -> InstanceIntent {
        var copy = self
        edit(&copy)
        return copy
    }
}
