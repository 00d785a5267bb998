import Domain
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import ServiceLink
import Testing

@testable import WebService

let aliceToken = SessionToken(bytes: MemoryService.alice.token).text
let bobToken = SessionToken(bytes: MemoryService.bob.token).text

/// A Web Service that serves, over a real link to an ASM Service in memory.
struct RunningWeb: Sendable {
    let service: MemoryService
    let web: WebService
    let port: Int
    let stop: @Sendable () async -> Void

    func connect(receiveBufferBytes: Int? = nil) async throws -> RawConnection {
        try await RawConnection(port: port, receiveBufferBytes: receiveBufferBytes)
    }

    func request(
        _ method: String, _ path: String, token: String? = aliceToken, _ fields: [String: String] = [:],
        json: String? = nil
    ) async throws -> RawConnection.Reply {
        var fields = fields
        if let token { fields["Authorization"] = "Bearer \(token)" }
        let connection = try await connect()
        defer { connection.close() }
        return try await connection.request(method, path, fields, body: json.map { Array($0.utf8) })
    }
}

/// Runs `body` with a Web Service on a free port of the loopback interface, and stops it gracefully afterwards.
func withWeb(
    _ change: (inout WebServiceConfiguration) -> Void = { _ in }, body: (RunningWeb) async throws -> Void
) async throws {
    // Event loops of its own, so that texts that are long hold up no other test; they end in their own time.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
    defer { group.shutdownGracefully { _ in } }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let service = MemoryService()
    let link = LinkServer(
        address: BindAddress(host: "127.0.0.1", port: 0), name: "memory", software: "test", service: service,
        group: group, logger: logger)
    let linkPort = try await link.start()
    var configuration = WebServiceConfiguration(
        address: BindAddress(host: "127.0.0.1", port: 0),
        servers: try ServerList([BindAddress(host: "127.0.0.1", port: linkPort)]))
    configuration.limits.drainingTimeout = .milliseconds(200)
    configuration.limits.closeTimeout = .milliseconds(500)
    change(&configuration)
    let (ports, listening) = AsyncStream.makeStream(of: Int.self)
    let web = WebService(configuration: configuration, group: group, logger: logger) {
        listening.yield($0)
        listening.finish()
    }
    let services = ServiceGroup(services: [link, web], logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await services.run() }
        for await port in ports {
            try await body(
                RunningWeb(
                    service: service, web: web, port: port, stop: { await services.triggerGracefulShutdown() }
                ))
        }
        await services.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}
