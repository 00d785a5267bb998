// swift-tools-version: 6.2
import PackageDescription

// Layout, and which target may import which: ARCHITECTURE.md. ArchitectureTests enforces it.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
    // Places at which a test can make the program die, stop or fail: never in a release build.
    .define("FAILPOINTS", .when(configuration: .debug)),
]

func component(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: exclude, resources: resources,
        swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: settings)
}

extension Target.Dependency {
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let atomics = product(name: "Atomics", package: "swift-atomics")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let deque = product(name: "DequeModule", package: "swift-collections")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let logging = product(name: "Logging", package: "swift-log")
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioConcurrency = product(name: "NIOConcurrencyHelpers", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioHTTPTypes = product(name: "NIOHTTPTypes", package: "swift-nio-extras")
    static let nioHTTPTypesHTTP1 = product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioWebSocket = product(name: "NIOWebSocket", package: "swift-nio")
    static let protobuf = product(name: "SwiftProtobuf", package: "swift-protobuf")
    static let swiftASN1 = product(name: "SwiftASN1", package: "swift-asn1")
    static let x509 = product(name: "X509", package: "swift-certificates")
    static let lifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
}

let package = Package(
    name: "asm",
    platforms: [.macOS(.v15), .iOS(.v18)],
    products: [
        .executable(name: "asm", targets: ["asm"]),
        .library(name: "ASMClient", targets: ["ASMClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-atomics", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // 0: values and pure rules; names for logs and metrics
        component("Domain", []),
        component("Observability", [.logging, .atomics]),
        // Nothing of it is in a release build.
        component("Failpoints", []),
        component("Health", [.nioCore, .nioPosix, .nioHTTP1, .logging, .lifecycle]),

        // 1: engines behind one seam
        .systemLibrary(name: "CPq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        component("SQLDatabase", [.logging]),
        component("PostgresDatabase", ["SQLDatabase", "CPq", .logging, .nioPosix, .nioCore, .deque]),
        component("SQLiteDatabase", ["SQLDatabase", .grdb, .logging]),

        // 2: what components share
        component(
            "Store", ["Domain", "SQLDatabase", "Failpoints", .logging, .crypto]),
        component("Archive", ["Domain", "Failpoints"]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        component("Mail", ["Domain", "Failpoints", "CCurl", .logging, .nioCore, .nioPosix]),
        component(
            "TransportSecurity",
            [.x509, .swiftASN1, .crypto, .nioCore, .nioSSL, .nioTLS, .logging, .lifecycle]),
        component(
            "ServiceLink",
            [
                "Domain", "Observability", "TransportSecurity", "Failpoints", .protobuf, .nioCore, .nioPosix,
                .nioSSL,
                .nioConcurrency, .logging, .lifecycle, .deque,
            ],
            exclude: ["Contract/link.proto"]),
        component(
            "ASMClient",
            [
                "Domain", .nioCore, .nioPosix, .nioHTTP1, .nioWebSocket, .nioSSL, .asyncHTTPClient, .logging,
            ]),

        // 3: the five components
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        component(
            "ASMService",
            [
                "Store", "Archive", "Mail", "TransportSecurity", "ServiceLink", "Domain", "Observability",
                "Failpoints", "SQLDatabase", "CSodium", .logging, .lifecycle, .crypto, .deque, .nioCore,
                .nioPosix,
            ]),
        component("NotificationService", ["ServiceLink", "Domain", "Observability", .lifecycle, .logging]),
        component(
            "WebService",
            [
                "ServiceLink", "TransportSecurity", "Domain", "Observability", .hummingbird,
                .hummingbirdCore, .httpTypes, .nioSSL, .nioCore, .nioPosix, .nioHTTP1, .nioHTTPTypes,
                .nioHTTPTypesHTTP1, .nioWebSocket, .logging,
                .lifecycle, .deque,
            ],
            resources: [.embedInCode("Resources")]),
        component(
            "AdminWeb",
            [
                "ServiceLink", "TransportSecurity", "Health", "Domain", "Observability", .hummingbird,
                .hummingbirdCore, .httpTypes, .nioCore, .nioPosix, .nioSSL, .lifecycle, .logging,
            ]),
        component("ConfigurationApp", ["Store", "Archive", "Domain"]),

        // The load generator sees what a client sees, and nothing else.
        component("Synthetic", ["ASMClient", "Domain"]),
        component("Bench", ["Synthetic", "ASMClient", "Domain", .nioCore, .nioPosix]),
        // So does the drill, which proves a failover from outside.
        component("Drill", ["Synthetic", "ASMClient", "Domain"]),

        // 4: subcommands and composition
        .executableTarget(
            name: "asm",
            dependencies: [
                "ASMService", "NotificationService", "WebService", "AdminWeb", "ConfigurationApp", "Bench",
                "Drill", "Synthetic", "Mail", "TransportSecurity", "ASMClient", "Store", "PostgresDatabase",
                "SQLiteDatabase", "SQLDatabase", "ServiceLink",
                "Domain", "Observability", "Health", "Failpoints", .argumentParser,
                .lifecycle,
                .unixSignals,
                .logging,
            ],
            swiftSettings: settings),

        .target(
            name: "TestSupport",
            dependencies: [
                "Domain", "SQLDatabase", "PostgresDatabase", "SQLiteDatabase", "Store", "TransportSecurity",
                .logging,
            ],
            path: "Tests/TestSupport", swiftSettings: settings),
        // Processes, people, chaos and the checker, for every test of the whole system.
        .target(
            name: "SystemSupport",
            dependencies: [
                "ASMClient", "Domain", "TestSupport", .asyncHTTPClient, .nioCore, .nioPosix, .nioHTTP1,
            ],
            path: "Tests/SystemSupport", swiftSettings: settings),
        tests("DomainTests", ["Domain"]),
        tests("MailTests", ["Mail", "Domain", "SystemSupport"]),
        tests("FailpointsTests", ["Failpoints"]),
        tests(
            "HealthTests", ["Health", .asyncHTTPClient, .nioCore, .nioHTTP1, .nioPosix, .logging, .lifecycle]),
        tests("TransportSecurityTests", ["TransportSecurity", .logging]),
        tests("StorageTests", ["Store", "SQLDatabase", "PostgresDatabase", "SQLiteDatabase", "Domain"]),
        tests(
            "ServiceLinkTests",
            [
                "ServiceLink", "TransportSecurity", "Domain", "Observability", .nioCore, .nioPosix,
                .nioConcurrency, .protobuf,
                .logging,
                .lifecycle,
            ]),
        tests(
            "ASMServiceTests",
            [
                "ASMService", "Store", "Domain", "ServiceLink", "Observability", "SQLDatabase",
                "PostgresDatabase",
                .nioPosix, .protobuf,
            ]),
        tests(
            "WebServiceTests",
            [
                "WebService", "ServiceLink", "Domain", "Observability", .httpTypes, .nioCore, .nioPosix,
                .logging,
                .lifecycle,
            ]),
        tests(
            "ASMClientTests",
            ["ASMClient", "Bench", "Synthetic", "Domain", .nioCore, .nioPosix, .nioHTTP1, .nioWebSocket]),
        tests("DrillTests", ["Drill", "Synthetic", "ASMClient", "Domain"]),
        tests("ArchitectureTests", []),
        tests(
            "SystemTests",
            [
                "SystemSupport", "TransportSecurity", "ASMClient", "Domain", "Failpoints", "asm", .nioCore,
                .nioPosix, .logging,
            ]),
        tests(
            "FailoverTests",
            ["SystemSupport", "ASMClient", "Domain", "asm", .asyncHTTPClient, .nioCore, .nioHTTP1]),
    ],
    swiftLanguageModes: [.v6]
)
