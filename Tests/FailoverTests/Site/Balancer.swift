import Foundation

/// HAProxy as the operator's file in `deploy/` has it, on this network and without TLS.
enum Balancer {
    struct Changed: Error, CustomStringConvertible {
        let missing: String
        var description: String {
            "deploy/haproxy/haproxy.cfg has no '\(missing)' any more: adapt this suite"
        }
    }

    static func configuration(webs: [String]) throws -> String {
        var text = try String(
            contentsOfFile: Repository.path("deploy/haproxy/haproxy.cfg"), encoding: .utf8)
        // Fewer connections: this machine's limit of open files is lower.
        let changes = [
            ("log /dev/log local0", "log stdout format raw local0 warning"),
            ("maxconn 20000", "maxconn 8000"),
            (" secure attr", " attr"), (" ssl verify required ca-file /etc/asm/tls/ca.pem", ""),
            ("web1.example.internal:8443", webs[0]), ("web2.example.internal:8443", webs[1]),
            (" verifyhost web1.example.internal", ""), (" verifyhost web2.example.internal", ""),
            ("X-Forwarded-Proto https", "X-Forwarded-Proto http"),
        ]
        for (old, new) in changes {
            guard text.contains(old) else { throw Changed(missing: old) }
            text = text.replacingOccurrences(of: old, with: new)
        }
        let isPlain = { (line: Substring) in
            !line.contains("bind :443") && !line.contains("redirect scheme") && !line.contains("ssl-default")
        }
        return text.split(separator: "\n", omittingEmptySubsequences: false).filter(isPlain)
            .joined(separator: "\n")
    }
}
