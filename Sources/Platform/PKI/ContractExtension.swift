// The certificate extension that carries a contract's terms.
import Primitives
import SwiftASN1
import X509

/// Not critical, so that programs that do not know it can still check the certificate's path and names. Its DER is
///
///     ContractTerms ::= SEQUENCE {
///         version   INTEGER (1),
///         contract  UTF8String,           -- ctr-…
///         side      UTF8String,           -- buyer | seller
///         product   UTF8String,           -- prd-…
///         lots      INTEGER,
///         start     INTEGER,              -- microseconds since 1970 UTC, included
///         end       INTEGER }             -- the same, excluded
enum ContractExtension {
    /// In an arc for private use that is not registered with IANA: it means something only under a root of ours.
    static let identifier: ASN1ObjectIdentifier = [1, 3, 6, 1, 4, 1, 59999, 1, 1]
    private static let version: Int64 = 1

    static func encoded(_ terms: ContractTerms) throws(PKIError) -> Certificate.Extension {
        try decoding("contract terms cannot be encoded") {
            var serializer = DER.Serializer()
            try serializer.appendConstructedNode(identifier: .sequence) { fields in
                try fields.serialize(version)
                try fields.serialize(ASN1UTF8String(terms.contract.description))
                try fields.serialize(ASN1UTF8String(terms.side.rawValue))
                try fields.serialize(ASN1UTF8String(terms.product.description))
                try fields.serialize(terms.lots)
                try fields.serialize(terms.period.start.microseconds)
                try fields.serialize(terms.period.end.microseconds)
            }
            return Certificate.Extension(oid: identifier, critical: false, value: serializer.serializedBytes[...])
        }
    }

    /// Nil when the certificate has no such extension.
    static func terms(of certificate: Certificate) throws(PKIError) -> ContractTerms? {
        guard let found = certificate.extensions[oid: identifier] else { return nil }
        return try decoding("contract extension") { try decoded(found.value) }
    }

    private static func decoded(_ value: ArraySlice<UInt8>) throws -> ContractTerms {
        try DER.sequence(try DER.parse(value), identifier: .sequence) { fields in
            guard try Int64(derEncoded: &fields) == version else { throw PKIError.malformed("contract extension of another version") }
            let contract = ContractID(String(try ASN1UTF8String(derEncoded: &fields)))
            let side = ContractSide(rawValue: String(try ASN1UTF8String(derEncoded: &fields)))
            let product = ProductID(String(try ASN1UTF8String(derEncoded: &fields)))
            let lots = try Int64(derEncoded: &fields)
            let start = Instant(microseconds: try Int64(derEncoded: &fields))
            let end = Instant(microseconds: try Int64(derEncoded: &fields))
            guard let contract, let side, let product, lots > 0, start < end else {
                throw PKIError.malformed("contract extension with impossible terms")
            }
            return ContractTerms(contract: contract, side: side, product: product, lots: lots, period: Period(start: start, end: end))
        }
    }
}
