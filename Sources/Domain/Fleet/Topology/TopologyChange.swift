/// One step from a topology to another.
public enum TopologyChange: Hashable, Sendable {
    /// An object as it was and as it will be; nil before: it is added, nil after: it is removed.
    public struct Edit<Object: TopologyObject>: Hashable, Sendable {
        public var before: Object?
        public var after: Object?

        public init(before: Object?, after: Object?) {
            precondition(before != nil || after != nil, "a change has something before it or after it")
            self.before = before
            self.after = after
        }

        var name: String { before?.name ?? after?.name ?? "" }
    }

    public enum Action: String, Hashable, Sendable, CaseIterable { case add, change, remove }

    public struct FieldChange: Hashable, Sendable {
        public var name: String
        public var before: String?
        public var after: String?

        public init(name: String, before: String?, after: String?) {
            self.name = name
            self.before = before
            self.after = after
        }
    }

    case zone(Edit<Topology.Zone>)
    case domain(Edit<Topology.FaultDomain>)
    case pod(Edit<Topology.Pod>)
    case rack(Edit<Topology.Rack>)
    case host(Edit<Topology.Place>)

    public var kind: TopologyKind {
        switch self {
        case .zone: .zone
        case .domain: .domain
        case .pod: .pod
        case .rack: .rack
        case .host: .host
        }
    }

    public var name: String { described.name }
    public var action: Action { described.action }
    /// What differs; of an object that is added or removed, all that is stated of it.
    public var fields: [FieldChange] { described.fields }

    private var described: (name: String, action: Action, fields: [FieldChange]) {
        switch self {
        case .zone(let edit): Self.describe(edit)
        case .domain(let edit): Self.describe(edit)
        case .pod(let edit): Self.describe(edit)
        case .rack(let edit): Self.describe(edit)
        case .host(let edit): Self.describe(edit)
        }
    }

    private static func describe<Object>(_ edit: Edit<Object>) -> (name: String, action: Action, fields: [FieldChange]) {
        let action: Action = edit.before == nil ? .add : edit.after == nil ? .remove : .change
        let before = edit.before?.fields ?? []
        let after = edit.after?.fields ?? []
        var names = before.map(\.name)
        names += after.map(\.name).filter { !names.contains($0) }
        let fields = names.compactMap { name -> FieldChange? in
            let old = before.first { $0.name == name }?.value
            let new = after.first { $0.name == name }?.value
            return old == new ? nil : FieldChange(name: name, before: old, after: new)
        }
        return (edit.name, action, fields)
    }
}

extension Topology {
    /// Takes one step. Steps are taken in the order of their plan.
    public mutating func apply(_ change: TopologyChange) {
        switch change {
        case .zone(let edit): set(edit)
        case .domain(let edit): set(edit)
        case .pod(let edit): set(edit)
        case .rack(let edit): set(edit)
        case .host(let edit): set(edit)
        }
    }

    private mutating func set<Object>(_ edit: TopologyChange.Edit<Object>) { self[keyPath: Object.path][edit.name] = edit.after }
}
