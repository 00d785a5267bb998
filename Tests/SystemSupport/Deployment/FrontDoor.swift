import Foundation
import TestSupport
import Testing

/// A load balancer before Web Services, configured as people find it: by its own defaults, or by the files of `deploy/`.
final class FrontDoor: Sendable {
    enum Kind: String, Sendable, CaseIterable, CustomTestStringConvertible {
        /// TLS and HTTP/2 towards browsers, everything else HAProxy's default.
        case haproxyHTTP2 = "HAProxy with alpn h2,http/1.1"
        /// Connections to the servers are shared by all.
        case haproxyReuse = "HAProxy with http-reuse always"
        case nginxKeepalive = "nginx with upstream keepalive 8"
        case haproxyShipped = "HAProxy with deploy/haproxy/haproxy.cfg"
        case nginxShipped = "nginx with deploy/nginx/asm.conf"

        var testDescription: String { rawValue }
        var isHAProxy: Bool { self != .nginxKeepalive && self != .nginxShipped }
        var isSecure: Bool { self != .haproxyReuse && self != .nginxKeepalive }
    }

    let url: String
    let process: Program

    /// - Parameters:
    ///   - ports: of two Web Services on this machine, which trust it as a proxy.
    ///   - folder: for its files.
    init(_ kind: Kind, before ports: [Int], folder: String) async throws {
        let program = kind.isHAProxy ? "/usr/sbin/haproxy" : "/usr/sbin/nginx"
        try #require(
            FileManager.default.isExecutableFile(atPath: program),
            "\(program) is missing: `make test` installs it (Debian: haproxy, nginx-light).")
        let port = try LoopbackPort.free()
        url = "\(kind.isSecure ? "https" : "http")://127.0.0.1:\(port)"
        if kind.isSecure { try await Self.makeCertificate(in: folder) }
        let text =
            switch kind {
            case .haproxyHTTP2:
                Self.haproxy(
                    "bind 127.0.0.1:\(port) ssl crt \(folder)/asm.pem alpn h2,http/1.1", ports,
                    front: "http-request set-header X-Forwarded-Proto https")
            case .haproxyReuse: Self.haproxy("bind 127.0.0.1:\(port)", ports, back: "http-reuse always")
            case .nginxKeepalive: Self.nginx(Self.keepalive(port: port, ports), folder: folder)
            case .haproxyShipped: try Self.shippedHAProxy(port: port, ports, folder: folder)
            case .nginxShipped:
                Self.nginx(try Self.shippedNginx(port: port, ports, folder: folder), folder: folder)
            }
        let file = folder + "/balancer.conf"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        process = try await Program(
            kind.isHAProxy ? "haproxy" : "nginx", path: program,
            kind.isHAProxy ? ["-db", "-f", file] : ["-e", folder + "/error.log", "-c", file])
    }

    private static func haproxy(_ bind: String, _ ports: [Int], front: String = "", back: String = "")
        -> String
    {
        """
        global
            maxconn 500
        defaults
            mode http
            timeout connect 2s
            timeout client 60s
            timeout server 60s
        frontend entry
            \(bind)
            \(front)
            default_backend webs
        backend webs
            \(back)
            server web1 127.0.0.1:\(ports[0])
            server web2 127.0.0.1:\(ports[1])

        """
    }

    /// What nginx's own page on WebSockets tells to write, with kept connections.
    private static func keepalive(port: Int, _ ports: [Int]) -> String {
        """
        map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
        upstream webs { server 127.0.0.1:\(ports[0]); server 127.0.0.1:\(ports[1]); keepalive 8; }
        server {
            listen 127.0.0.1:\(port);
            location / {
                proxy_pass http://webs;
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $connection_upgrade;
            }
        }
        """
    }

    private static func nginx(_ servers: String, folder: String) -> String {
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(folder)/\($0);" }.joined(separator: " ")
        return """
            daemon off;
            master_process off;
            user root;
            worker_processes 1;
            pid \(folder)/nginx.pid;
            events { worker_connections 500; }
            http {
            access_log off;
            \(places)
            \(servers)
            }

            """
    }

    // MARK: The files of deploy/

    private static func shipped(_ path: String, _ changes: [(String, String)]) throws -> String {
        var root = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { root.deleteLastPathComponent() }
        var text = try String(contentsOfFile: root.path + "/deploy/" + path, encoding: .utf8)
        for (shipped, here) in changes {
            try #require(text.contains(shipped), "deploy/\(path) has no ‘\(shipped)’ any more.")
            text = text.replacingOccurrences(of: shipped, with: here)
        }
        return text
    }

    /// Other addresses, and plain text to the Web Services of this machine; all rules stay.
    private static func shippedHAProxy(port: Int, _ ports: [Int], folder: String) throws -> String {
        try shipped(
            "haproxy/haproxy.cfg",
            [
                (
                    "bind :443 ssl crt /etc/haproxy/certs/asm.pem",
                    "bind 127.0.0.1:\(port) ssl crt \(folder)/asm.pem"
                ),
                ("bind :80\n", "bind 127.0.0.1:\(try LoopbackPort.free())\n"),
                ("bind 127.0.0.1:8404", "bind 127.0.0.1:\(try LoopbackPort.free())"),
                (" ssl verify required ca-file /etc/asm/tls/ca.pem", ""),
                (
                    "web1.example.internal:8443 cookie web1 verifyhost web1.example.internal",
                    "127.0.0.1:\(ports[0]) cookie web1"
                ),
                (
                    "web2.example.internal:8443 cookie web2 verifyhost web2.example.internal",
                    "127.0.0.1:\(ports[1]) cookie web2"
                ),
                ("    log /dev/log local0\n", ""), ("maxconn 20000", "maxconn 500"),
            ])
    }

    private static func shippedNginx(port: Int, _ ports: [Int], folder: String) throws -> String {
        try shipped(
            "nginx/asm.conf",
            [
                ("listen 443 ssl", "listen 127.0.0.1:\(port) ssl"),
                ("listen 80;", "listen 127.0.0.1:\(try LoopbackPort.free());"),
                ("listen 127.0.0.1:8404;", "listen 127.0.0.1:\(try LoopbackPort.free());"),
                ("/etc/nginx/certs/asm.pem", folder + "/asm.pem"),
                ("/etc/nginx/certs/asm.key", folder + "/asm.pem"),
                ("server web1.example.internal:8443", "server 127.0.0.1:\(ports[0])"),
                ("server web2.example.internal:8443", "server 127.0.0.1:\(ports[1])"),
                ("proxy_pass https://asm_web;", "proxy_pass http://asm_web;"),
                ("        proxy_ssl_verify on;\n", ""),
                ("        proxy_ssl_trusted_certificate /etc/asm/tls/ca.pem;\n", ""),
            ])
    }

    /// One file with the certificate and its key, as HAProxy wants it.
    private static func makeCertificate(in folder: String) async throws {
        let made = try await OpenSSL.run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
            folder + "/key.pem",
            "-out", folder + "/certificate.pem",
        ])
        try #require(made.status == 0, Comment(rawValue: made.text))
        let parts = try ["/certificate.pem", "/key.pem"].map {
            try String(contentsOfFile: folder + $0, encoding: .utf8)
        }
        try parts.joined().write(toFile: folder + "/asm.pem", atomically: true, encoding: .utf8)
    }
}
