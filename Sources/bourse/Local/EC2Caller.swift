import CloudAPI
import CloudClient
import EC2
import Foundation
import Primitives
import ServiceKit

/// A small signed client of the EC2 API: `bourse up` launches its machine the way any tenant would.
struct EC2Caller {
    let url: String
    let host: String
    let signer: RequestSigner

    init(url: String, accessKey: String, secretKey: String, region: String) throws {
        self.url = url
        host = url.replacingOccurrences(of: "http://", with: "")
        signer = RequestSigner(AccessCredential(accessKey: accessKey, secretKey: secretKey), region: region)
    }

    /// Returns the identifier of the new instance.
    func runInstance(image: String, type: String, keyName: String, userData: String, name: String) async throws -> String {
        let answer = try await call(
            "RunInstances",
            [
                ("ImageId", image), ("InstanceType", type), ("MinCount", "1"), ("MaxCount", "1"), ("KeyName", keyName),
                ("UserData", Data(userData.utf8).base64EncodedString()), ("ClientToken", "bourse-up-\(SystemTime().now().microseconds)"),
                ("TagSpecification.1.ResourceType", "instance"), ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", name),
            ])
        guard let id = Self.element("instanceId", in: answer) else {
            throw Failure(text: "RunInstances answered without an instance:\n\(answer)")
        }
        return id
    }

    private func call(_ action: String, _ parameters: [(String, String)]) async throws -> String {
        let signed = signer.call(action, parameters, host: host, at: SystemTime().now())
        let answer = try await CloudClient(base: url).closing {
            try await $0.exchange(.post, path: "/", headers: signed.headers, body: Data(signed.body))
        }
        let (status, body) = (answer.status, String(decoding: answer.body, as: UTF8.self))
        guard status == 200 else {
            throw Failure(
                text: "\(action): \(Self.element("Code", in: body) ?? "status \(status)"): \(Self.element("Message", in: body) ?? body)")
        }
        return body
    }

    private static func element(_ name: String, in xml: String) -> String? {
        guard let start = xml.range(of: "<\(name)>"), let end = xml.range(of: "</\(name)>", range: start.upperBound..<xml.endIndex) else {
            return nil
        }
        return String(xml[start.upperBound..<end.lowerBound])
    }
}
