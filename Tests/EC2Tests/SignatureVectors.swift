import EC2
import Primitives
import Testing

/// Requests signed by botocore 1.43 at 2026-01-31T12:00:00Z: what real clients send.
struct SignatureVector: Sendable, CustomTestStringConvertible {
    let note: String
    let request: SignableRequest
    var testDescription: String { note }

    static let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    static let signedAt = Instant(seconds: 1_769_860_800)

    static let all: [SignatureVector] = [
        SignatureVector(
            note: "form in the body",
            request: SignableRequest(
                method: "POST", path: "/",
                query:
                    "",
                headers: [
                    (
                        "Content-Type",
                        "application/x-www-form-urlencoded; charset=utf-8"
                    ),
                    (
                        "X-Amz-Date",
                        "20260131T120000Z"
                    ),
                    (
                        "Authorization",
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-west-1/ec2/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=3889974654addece331e9bc4ad517c4efd73990134348a48c6afbd00e3540247"
                    ),
                    (
                        "Host",
                        "ec2.exchange.test"
                    ),
                ],
                body: Array(
                    "Action=DescribeInstances&Version=2016-11-15&MaxResults=1000&Filter.1.Name=tag%3AName&Filter.1.Value.1=a+b%2F%C3%BC%2A~"
                        .utf8))),
        SignatureVector(
            note: "query out of order",
            request: SignableRequest(
                method: "GET", path: "/",
                query:
                    "Version=2016-11-15&Action=DescribeVpcs&Filter.1.Value.1=a%20b%2Fc&z=&A=1",
                headers: [
                    (
                        "X-Amz-Date",
                        "20260131T120000Z"
                    ),
                    (
                        "Authorization",
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-west-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=ec5f445b38e369f9fe31f50e0ce1ad4e24fdaeed1d50a514fda800271febc641"
                    ),
                    (
                        "Host",
                        "ec2.exchange.test"
                    ),
                ],
                body: Array(
                    "".utf8))),
        SignatureVector(
            note: "runs of blanks in a header",
            request: SignableRequest(
                method: "GET", path: "/",
                query:
                    "",
                headers: [
                    (
                        "X-Amz-Thing",
                        "  a   b  c "
                    ),
                    (
                        "X-Amz-Date",
                        "20260131T120000Z"
                    ),
                    (
                        "Authorization",
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-west-1/ec2/aws4_request, SignedHeaders=host;x-amz-date;x-amz-thing, Signature=932866956c185aaa9b213a20de2f3c096bfc19f7ae8aacf056a767aea3a4f9a5"
                    ),
                    (
                        "Host",
                        "ec2.exchange.test"
                    ),
                ],
                body: Array(
                    "".utf8))),
        SignatureVector(
            note: "port and encoded path",
            request: SignableRequest(
                method: "GET", path: "/a%20b/c/",
                query:
                    "",
                headers: [
                    (
                        "X-Amz-Date",
                        "20260131T120000Z"
                    ),
                    (
                        "Authorization",
                        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-west-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=efcc07adedfb0a0200d5aae4f5dee55991fa57be5b3ebe5337cf5ba372eee6cc"
                    ),
                    (
                        "Host",
                        "127.0.0.1:7411"
                    ),
                ],
                body: Array(
                    "".utf8))),
        SignatureVector(
            note: "presigned address",
            request: SignableRequest(
                method: "GET", path: "/",
                query:
                    "Action=DescribeImages&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260131%2Feu-west-1%2Fec2%2Faws4_request&X-Amz-Date=20260131T120000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=a5a63dd88dcd8d6e5ff24954da7c5f8e701ea01dd6310bb23af27df5086eab35",
                headers: [
                    (
                        "Host",
                        "ec2.exchange.test"
                    )
                ],
                body: Array(
                    "".utf8))),
    ]
}
