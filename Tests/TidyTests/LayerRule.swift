/// Who may import whom: Domain ← Interface, Platform ← Drivers, Services ← bourse. A layer is a folder of Sources.
enum LayerRule {
    enum Layer: String, CaseIterable {
        case domain = "Domain"
        case interface = "Interface"
        case platform = "Platform"
        case drivers = "Drivers"
        case services = "Services"
        case program = "bourse"

        /// The layers whose modules it may import.
        var reach: Set<Layer> {
            switch self {
            // Domain modules are named one by one below.
            case .domain: []
            case .interface: [.domain, .interface]
            case .platform: [.domain, .interface, .platform]
            case .drivers: [.domain, .interface, .platform]
            // Services talk to each other through CloudClient only.
            case .services: [.domain, .interface, .platform, .drivers]
            case .program: [.domain, .interface, .platform, .drivers, .services]
            }
        }
    }

    /// The products of swift-collections.
    private static let collections: Set<String> = [
        "BasicContainers", "BitCollections", "Collections", "ContainersPreview", "DequeModule", "HashTreeCollections", "HeapModule",
        "OrderedCollections",
        "_RopeModule",
    ]
    /// Modules of Domain that may import others than Primitives.
    private static let domainReach: [String: Set<String>] = ["Sourcing": ["Market"]]

    /// - Parameter modules: the layer of each of our own modules.
    static func violations(in file: SourceFile, modules: [String: Layer]) -> [Violation] {
        guard let (layer, module) = place(file) else {
            return [Violation(path: file.path, line: 1, text: "this folder belongs to no layer of the design")]
        }
        return imports(in: file).compactMap { line, imported in
            complaint(layer: layer, module: module, imported: imported, modules: modules).map {
                Violation(path: file.path, line: line, text: $0)
            }
        }
    }

    /// The layers of all modules that have files.
    static func modules(of files: [SourceFile]) -> [String: Layer] {
        Dictionary(files.compactMap { place($0).map { ($0.module, $0.layer) } }, uniquingKeysWith: { first, _ in first })
    }

    private static func place(_ file: SourceFile) -> (layer: Layer, module: String)? {
        let folders = file.folders
        guard folders.count > 2, folders[0] == "Sources", let layer = Layer(rawValue: folders[1]) else { return nil }
        switch layer {
        case .drivers, .program: return (layer, layer.rawValue)
        default: return folders.count > 3 ? (layer, folders[2]) : nil
        }
    }

    private static func complaint(layer: Layer, module: String, imported: String, modules: [String: Layer]) -> String? {
        if layer == .domain {
            let allowed = imported == "Primitives" || collections.contains(imported) || domainReach[module]?.contains(imported) == true
            if module == "Primitives" { return "Primitives imports nothing, not \(imported)" }
            return allowed ? nil : "\(module) is domain: it imports Primitives and swift-collections, not \(imported)"
        }
        guard let target = modules[imported], imported != module else { return nil }
        if layer == .services, target == .services {
            return "services never import each other; \(module) reaches \(imported) with CloudClient"
        }
        return layer.reach.contains(target)
            ? nil : "\(layer.rawValue) does not import \(target.rawValue), but \(module) imports \(imported)"
    }

    static func imports(in file: SourceFile) -> [(line: Int, module: String)] {
        file.code.enumerated().compactMap { index, line in
            guard line.contains("import"), let match = line.firstMatch(of: importPattern) else { return nil }
            return (index + 1, String(match.1))
        }
    }

    // A regular expression is not Sendable, but this one never changes.
    private nonisolated(unsafe) static let importPattern =
        /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var)\s+)?(\w+)/
}
