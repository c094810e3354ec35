/// The parameters of an EC2 Query request, `application/x-www-form-urlencoded`, in the query, the body or both.
public enum QueryForm {
    /// More than any client sends; fewer than could hurt.
    static let largestCount = 10_000

    /// Names and values in the order they came. Parameters of a presigned address (`X-Amz-…`) are left out.
    public static func decode(query: String, body: [UInt8]) throws(EC2Error) -> [(name: String, value: String)] {
        var parameters: [(name: String, value: String)] = []
        for part in [Array(query.utf8), body] {
            for pair in part.split(separator: UInt8(ascii: "&")) {
                guard parameters.count < largestCount else {
                    throw EC2Error(.malformedQueryString, "The request has more than \(largestCount) parameters.")
                }
                let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
                let name = try text(halves[0])
                let value = halves.count > 1 ? try text(halves[1]) : ""
                if !name.hasPrefix("X-Amz-") { parameters.append((name, value)) }
            }
        }
        return parameters
    }

    public static func encode(_ parameters: [(String, String)]) -> String {
        parameters.map { "\(PercentCoding.encoded($0.0))=\(PercentCoding.encoded($0.1))" }.joined(separator: "&")
    }

    private static func text(_ raw: ArraySlice<UInt8>) throws(EC2Error) -> String {
        guard let decoded = PercentCoding.decode(raw, plusIsSpace: true), let text = String(validating: decoded, as: UTF8.self) else {
            throw EC2Error(.malformedQueryString, "The query string is not percent-encoded UTF-8.")
        }
        return text
    }
}

/// The API version this cloud speaks.
public enum EC2Version {
    public static let current = "2016-11-15"
    static let namespace: StaticString = "http://ec2.amazonaws.com/doc/2016-11-15/"
}
