import Foundation
import TestSupport
import Testing

/// HAProxy before the Web Services, checking each at `/readyz`, as deploy/haproxy does in small.
final class Balancer: Sendable {
    private static let program = "/usr/sbin/haproxy"

    let web: Web
    let process: Program

    /// - Parameter retries: whether a request that one server did not take is sent to another.
    init(before webs: [Web], retries: Bool = true, folder: String) async throws {
        try #require(
            FileManager.default.isExecutableFile(atPath: Self.program),
            "HAProxy is missing: `make test` installs it (Debian: haproxy).")
        web = Web(port: try LoopbackPort.free())
        let file = folder + "/haproxy.cfg"
        try Self.configuration(port: web.port, webs: webs, retries: retries)
            .write(toFile: file, atomically: true, encoding: .utf8)
        process = try await Program("haproxy", path: Self.program, ["-db", "-f", file])
    }

    private static func configuration(port: Int, webs: [Web], retries: Bool) -> String {
        let servers = webs.enumerated().map { "    server web\($0 + 1) 127.0.0.1:\($1.port)" }
            .joined(separator: "\n")
        let checks = """
                balance roundrobin
                option httpchk GET /readyz
                http-check expect status 200
                default-server check inter 200ms fall 2 rise 2
            \(servers)
            """
        let retrying = """
                option redispatch 1
                retries 3
                retry-on conn-failure empty-response
            """
        return """
            global
                maxconn 500
            defaults
                mode http
                timeout connect 2s
                timeout client 60s
                timeout server 60s
                timeout tunnel 1h
            \(retries ? retrying : "    retries 0")
            frontend entry
                bind 127.0.0.1:\(port)
                use_backend live if { path /v1/live }
                default_backend webs
            backend webs
                http-response set-header X-Web %s
            \(checks)
            backend live
            \(checks)

            """
    }
}
