// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .treatWarning("DeprecatedDeclaration", as: .warning),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
]

// Products of other packages, by the name the sources import.
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let mustache: Target.Dependency = .product(name: "Mustache", package: "swift-mustache")
let httpClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let asn1: Target.Dependency = .product(name: "SwiftASN1", package: "swift-asn1")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let orderedCollections: Target.Dependency = .product(name: "OrderedCollections", package: "swift-collections")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func module(_ name: String, in folder: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(folder)/\(name)", swiftSettings: strict)
}
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let domain: [Target] = [
    module("Primitives", in: "Domain", []),
    module("Market", in: "Domain", ["Primitives", deque, heap, orderedCollections]),
    module("Tenancy", in: "Domain", ["Primitives"]),
    module("Sourcing", in: "Domain", ["Primitives", "Market"]),
    module("Rating", in: "Domain", ["Primitives"]),
    module("Fleet", in: "Domain", ["Primitives", heap]),
]
let interface: [Target] = [
    module("CloudAPI", in: "Interface", ["Primitives"]),
    module("CloudClient", in: "Interface", ["CloudAPI", "Primitives", httpClient, nioCore, nioPosix, nioSSL, nioHTTP1, logging]),
    module("Documents", in: "Interface", ["CloudAPI", "Primitives", yams]),
    module("EC2", in: "Interface", ["Primitives", crypto]),
]
let platform: [Target] = [
    .systemLibrary(name: "CSQLite", path: "Sources/Platform/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CPq", path: "Sources/Platform/CPq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CMalloc", path: "Sources/Platform/CMalloc"),
    module("Store", in: "Platform", ["Primitives", "CSQLite", "CPq", crypto, logging]),
    module("PKI", in: "Platform", ["Primitives", x509, asn1, crypto, nioCore, nioSSL]),
    module(
        "ServiceKit", in: "Platform",
        [
            "Primitives", "CloudAPI", "CloudClient", "Store", "PKI", "CMalloc", hummingbird, hummingbirdCore, httpTypes, mustache,
            lifecycle, unixSignals,
            nioCore, nioPosix, nioTLS, nioSSL, x509, crypto, logging,
        ]),
]
let drivers: [Target] = [
    .target(
        name: "Drivers",
        dependencies: ["Primitives", "Fleet", "CloudAPI", "CloudClient", "PKI", subprocess, system, crypto, logging, nioSSL],
        swiftSettings: strict)
]
let serviceBase: [Target.Dependency] = [
    "Primitives", "CloudAPI", "CloudClient", "Store", "PKI", "ServiceKit", hummingbird, httpTypes, lifecycle, nioCore, nioSSL, logging,
    crypto,
]
let services: [Target] = [
    module("Exchange", in: "Services", serviceBase + ["Market", x509]),
    module("Manage", in: "Services", serviceBase + ["Tenancy", "Sourcing", "Market", "Rating", "EC2"]),
    module("Connect", in: "Services", serviceBase + ["Fleet", "Rating", "Drivers"]),
    module("Node", in: "Services", serviceBase + ["Drivers", "Fleet", nioPosix, nioHTTP1]),
]
let executables: [Target] = [
    .executableTarget(
        name: "bourse",
        dependencies: [
            "Exchange", "Manage", "Connect", "Node", "EC2", "Primitives", "Fleet", "CloudAPI", "CloudClient", "Documents", "Store", "PKI",
            "ServiceKit",
            "Drivers",
            arguments, logging, lifecycle, subprocess, system, nioCore, nioSSL, crypto,
        ], swiftSettings: strict),
    // Public traces, and how they are replayed through the placement engine.
    .target(name: "Traces", dependencies: ["Fleet", "Primitives", heap], path: "Benchmarks/Traces", swiftSettings: strict),
    .executableTarget(
        name: "bourse-bench",
        dependencies: [
            "Primitives", "Market", "Fleet", "Store", "CloudAPI", "CloudClient", "EC2", "ServiceKit", "Exchange", "Drivers", "Traces",
            arguments, crypto,
            lifecycle, logging,
        ],
        path: "Benchmarks/bourse-bench", swiftSettings: strict),
]
let testTargets: [Target] = [
    .target(
        name: "TestSupport",
        dependencies: ["Primitives", "Store", "CloudAPI", "CloudClient", "PKI", "ServiceKit", "EC2", lifecycle, logging, nioSSL],
        path: "Tests/TestSupport", swiftSettings: strict),
    tests("PrimitivesTests", ["Primitives"]),
    tests("MarketTests", ["Market", "Primitives"]),
    tests("TenancyTests", ["Tenancy", "Primitives"]),
    tests("SourcingTests", ["Sourcing", "Market", "Primitives"]),
    tests("RatingTests", ["Rating", "Primitives"]),
    tests("FleetTests", ["Fleet", "Traces", "Primitives"]),
    tests("CloudAPITests", ["CloudAPI", "Primitives", "TestSupport"]),
    tests("DocumentsTests", ["Documents", "CloudAPI", "Fleet", "Primitives"]),
    tests("EC2Tests", ["EC2", "Primitives"]),
    tests("StoreTests", ["Store", "Primitives", "TestSupport"]),
    tests("PKITests", ["PKI", "Primitives", "TestSupport", x509, asn1, crypto]),
    tests(
        "ServiceKitTests",
        [
            "ServiceKit", "CloudAPI", "CloudClient", "PKI", "Store", "Primitives", "TestSupport", hummingbird, lifecycle, nioCore, nioSSL,
            logging,
        ]),
    tests("DriversTests", ["Drivers", "Fleet", "PKI", "Primitives"]),
    tests(
        "ExchangeTests",
        [
            "Exchange", "Market", "Store", "PKI", "CloudAPI", "CloudClient", "ServiceKit", "Primitives", "TestSupport", logging, lifecycle,
            crypto,
        ]),
    tests(
        "ManageTests",
        ["Manage", "EC2", "Store", "CloudAPI", "CloudClient", "PKI", "ServiceKit", "Primitives", "TestSupport", lifecycle, logging]),
    tests(
        "ConnectTests",
        [
            "Connect", "Node", "Drivers", "Exchange", "Fleet", "Store", "PKI", "CloudAPI", "CloudClient", "ServiceKit", "Primitives",
            "TestSupport",
            lifecycle, logging,
        ]),
    tests("NodeTests", ["Node", "Drivers", "Store", "PKI", "CloudAPI", "CloudClient", "ServiceKit", "Primitives", "TestSupport", logging]),
    tests("TidyTests", []),
    tests("EndToEndTests", ["TestSupport", "Primitives", "CloudAPI"]),
]

/// `BOURSE_ONLY=StoreTests swift test` builds just that target and what it imports.
func focused(_ all: [Target]) -> [Target] {
    guard let only = Context.environment["BOURSE_ONLY"], !only.isEmpty else { return all }
    let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    var kept: Set<String> = []
    var open = only.split(separator: ",").map(String.init)
    while let name = open.popLast() {
        guard let target = byName[name], kept.insert(name).inserted else { continue }
        open += target.dependencies.compactMap { if case .byNameItem(let name, _) = $0 { name } else { nil } }
    }
    return all.filter { kept.contains($0.name) }
}

let package = Package(
    name: "bourse",
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache.git", from: "2.1.1"),
        .package(url: "https://github.com/swift-server/async-http-client.git", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl.git", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-certificates.git", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-asn1.git", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.6.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess.git", from: "1.0.2"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-system.git", from: "1.8.1"),
    ],
    targets: focused(domain + interface + platform + drivers + services + executables + testTargets)
)
