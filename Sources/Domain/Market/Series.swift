public import Primitives

/// Product × kind of delivery period: the thing with an order book.
public struct Series: Hashable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        /// The period in progress, rolled until either side stops it.
        case spot
    }

    public let id: SeriesID
    public let product: ProductID
    public let kind: Kind
    /// Why it is halted now.
    public var halted: String?
    /// When it reopens by itself. Nil: not halted, or until the operator reopens it.
    public var haltedUntil: Instant?
    /// The reference price as set by the operator, or moved by a halt.
    public var reference: ReferencePrice.Setting?

    public init(
        id: SeriesID, product: ProductID, kind: Kind, halted: String? = nil, haltedUntil: Instant? = nil,
        reference: ReferencePrice.Setting? = nil
    ) {
        self.id = id
        self.product = product
        self.kind = kind
        self.halted = halted
        self.haltedUntil = haltedUntil
        self.reference = reference
    }
}
