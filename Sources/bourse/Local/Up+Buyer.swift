import CloudAPI
import CloudClient
import Foundation
import Primitives
import Subprocess

extension CloudBuilder {
    mutating func buyer() async throws {
        let manage = try program("manage")
        var secrets = ["BOURSE_OPERATOR_TOKEN": state.manageToken]
        let arguments = [
            "--exchange", state.address(of: .exchange).url, "--port", "\(state.ports.manage)", "--ec2-port", "\(state.ports.ec2)",
            "--region",
            CloudState.region,
        ]
        if manage.pid == nil {
            step("starting the buyer's manage")
            if !enrolled("manage") { secrets["BOURSE_ENROLMENT_TOKEN"] = try await enrolment(state.buyer, .manage) }
        }
        try manage.start(arguments, secrets: secrets)
        try await manage.waitUntilReady()
        try await user()
        try await key()
    }

    private mutating func user() async throws {
        if state.account == nil {
            step("opening Acme's account with a price cap of 0.10 EUR per lot-hour")
            state.account = try await asManager {
                try await $0.call(
                    ManageAPI.createAccount, body: CreateAccount(name: "Acme", currency: .eur, priceCap: 100_000),
                    idempotencyKey: "up-account")
            }.id
            try save()
        }
        if state.user == nil, let account = state.account {
            state.user = try await asManager {
                try await $0.call(
                    ManageAPI.createUser, path: ["account": account.description],
                    body: CreateUser(name: "alice", rights: [.technical, .commercial]), idempotencyKey: "up-user")
            }.id
            try save()
        }
        guard let user = state.user?.description else { return }
        if state.accessKey == nil {
            let key = try await asManager { try await $0.call(ManageAPI.createAccessKey, path: ["user": user]) }
            state.accessKey = key.accessKey
            state.secretKey = key.secretKey
            try save()
        }
        if state.userToken == nil {
            state.userToken = try await asManager {
                try await $0.call(ManageAPI.createUserToken, path: ["user": user], body: CreateToken(description: "bourse up"))
            }.token
            try save()
        }
    }

    private func asManager<T>(_ body: (CloudClient) async throws -> T) async throws -> T {
        try await using(.manage, token: state.manageToken, body)
    }

    private mutating func key() async throws {
        if !FileManager.default.fileExists(atPath: home.demoKey) {
            let made = try await Subprocess.run(
                .name("ssh-keygen"), arguments: ["-q", "-t", "ed25519", "-N", "", "-C", "bourse demo", "-f", home.demoKey],
                output: .discarded,
                error: .string(limit: 4_096))
            guard made.terminationStatus.isSuccess else { throw Failure(text: "ssh-keygen failed: \(made.standardError)") }
        }
        guard !state.keyImported else { return }
        let line = String(decoding: FileManager.default.contents(atPath: home.demoKey + ".pub") ?? Data(), as: UTF8.self)
        _ = try await using(.manage) {
            try await $0.call(
                ManageAPI.importKey, body: ImportKey(name: "demo", publicKey: line.trimmingCharacters(in: .whitespacesAndNewlines)),
                idempotencyKey: "up-key")
        }
        state.keyImported = true
        try save()
    }

    // MARK: The first machine, through the EC2 API

    mutating func machine() async throws {
        guard let image = state.image, let access = state.accessKey, let secret = state.secretKey else { return }
        let ec2 = try EC2Caller(url: state.ec2URL, accessKey: access, secretKey: secret, region: CloudState.region)
        if let machine = state.machine {
            let view = try? await using(.manage) { try await $0.call(ManageAPI.showInstance, path: ["instance": machine.description]) }
            if view == nil || view?.state == .terminated { state.machine = nil }
            // Nothing brings back a contract that has ended: its machine's disk is kept for a while, another machine takes its place.
            if let view, view.state == .stopped, view.reason?.code == "Server.ContractEnded" {
                step("\(machine) is stopped: \(view.reason?.message ?? "its contract has ended")")
                state.machine = nil
            }
        }
        if state.machine == nil {
            step("launching a machine through the EC2 API: Acme's manage buys what it needs on the exchange")
            try await until("manage knows the image") {
                try await using(.manage) { try await $0.items(of: ManageAPI.listImages) }.contains { $0.id == image }
            }
            let id = try await ec2.runInstance(
                image: image.description, type: "m1.small", keyName: "demo", userData: Self.userData, name: "hello")
            state.machine = InstanceID(id)
            try save()
        }
        guard let machine = state.machine else { return }
        step("waiting for \(machine) to answer on ssh")
        let address = try await running(machine)
        try await until("ssh answers on \(address)", limit: .seconds(180)) { try await sshAnswers(address) }
    }

    static let userData = "#!/bin/sh\necho \"Hello from user data on $(hostname)\" | tee /root/hello.txt\n"

    private func running(_ machine: InstanceID) async throws -> String {
        var address: String?
        try await until("\(machine) runs", limit: .seconds(180)) {
            let view = try await using(.manage) { try await $0.call(ManageAPI.showInstance, path: ["instance": machine.description]) }
            if view.state == .terminated { throw Failure(text: "\(machine) was terminated: \(view.reason?.message ?? "no reason given")") }
            if view.state == .stopped {
                _ = try await using(.manage) {
                    try await $0.call(ManageAPI.actOnInstance, path: ["instance": machine.description], body: ActOnInstance(action: .start))
                }
            }
            address = view.address
            return view.state == .running && address != nil
        }
        return address ?? ""
    }

    func sshAnswers(_ address: String) async throws -> Bool {
        let result = try await Subprocess.run(
            .name("ssh"), arguments: Arguments(SSH.arguments(key: home.demoKey, address: address) + ["true"]), output: .discarded,
            error: .discarded)
        return result.terminationStatus.isSuccess
    }
}

enum SSH {
    /// Host keys of throw-away machines are not remembered.
    static func arguments(key: String, address: String) -> [String] {
        [
            "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o",
            "BatchMode=yes", "-o",
            "ConnectTimeout=5", "root@\(address)",
        ]
    }
}
