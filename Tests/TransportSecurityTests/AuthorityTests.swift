import Foundation
import TestSupport
import Testing
import TransportSecurity

@Suite("The cluster's authority and what it issues")
struct AuthorityTests {
    @Test("OpenSSL accepts a certificate of it, for exactly the role it was issued for")
    func acceptedByOpenSSL() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let purposes: [(CertificateWish.Role, server: Bool, client: Bool)] = [
                (.service, true, true), (.web, false, true), (.https, true, false),
            ]
            for (role, server, client) in purposes {
                let paths = try certificates.issue(role.rawValue, role: role)

                for (purpose, isGood) in [("sslserver", server), ("sslclient", client)] {
                    let ended = try await OpenSSL.run([
                        "verify", "-x509_strict", "-purpose", purpose, "-CAfile", certificates.authorityFile,
                        paths.certificate,
                    ])
                    #expect((ended.status == 0) == isGood, "\(role) as \(purpose): \(ended.text)")
                }
            }
        }
    }

    @Test("a certificate is X.509 v3 with a P-256 key, the hosts it is for, and an end")
    func contents() async throws {
        try await withTemporaryFolder { folder in
            let certificates = try TestCertificates(in: folder)
            let paths = try certificates.issue(
                "asm1", hosts: ["asm1.example", "10.0.0.11", "fd00::11"], days: 30)

            let text = try await OpenSSL.run(["x509", "-in", paths.certificate, "-noout", "-text"]).text
            for words in [
                "Version: 3", "prime256v1", "CN = asm1", "CN = Authority ca", "DNS:asm1.example",
                "IP Address:10.0.0.11", "IP Address:FD00:0:0:0:0:0:0:11", "CA:FALSE", "Digital Signature",
                "TLS Web Server Authentication, TLS Web Client Authentication",
            ] {
                #expect(text.contains(words), "\(words) is not in \(text)")
            }
            // It may vouch for processes, not for other authorities.
            let own = try await OpenSSL.run(["x509", "-in", certificates.authorityFile, "-noout", "-text"])
                .text
            #expect(own.contains("CA:TRUE, pathlen:0"), Comment(rawValue: own))
            let details = try #require(try CertificateDetails.all(in: paths.certificate).first)
            #expect(details.names == ["asm1.example", "10.0.0.11", "fd00::11"])
            // Certificates know whole seconds.
            #expect((29...30).contains(details.daysLeft(at: Date())))
            let fingerprint = try await OpenSSL.run([
                "x509", "-in", paths.certificate, "-noout", "-fingerprint", "-sha256",
            ]).text
            #expect(fingerprint.contains(details.colonFingerprint))
        }
    }

    @Test("nothing is issued that would outlive the authority")
    func noLongerThanTheAuthority() throws {
        let (authority, _) = try CertificateAuthority.make(named: "Short", validForDays: 10)
        let issued = try authority.issue(
            try CertificateWish(name: "a", hosts: ["a.example"], role: .service, days: 397))

        #expect(issued.details.notAfter == authority.details.notAfter)
    }

    @Test("an authority is loaded with its own key only, while it is valid, and from its own certificate")
    func loading() async throws {
        try await withTemporaryFolder { folder in
            let ours = try TestCertificates(in: folder)
            let others = try TestCertificates(in: folder, named: "others")
            let old = try TestCertificates(in: folder, named: "old", now: Date() - 4_000 * 86_400)
            let leaf = try ours.issue("leaf")
            let cases = [
                (ours.authorityFile, others.folder + "/ca.key", "does not belong"),
                (leaf.certificate, leaf.key, "not that of a certificate authority"),
                (old.authorityFile, old.folder + "/ca.key", "expired on"),
            ]
            for (certificate, key, words) in cases {
                let error = #expect(throws: SecurityFileError.self) {
                    try CertificateAuthority(certificateFile: certificate, keyFile: key)
                }
                #expect(error?.description.contains(words) == true, "\(words): \(String(describing: error))")
            }
            let loaded = try CertificateAuthority(
                certificateFile: ours.authorityFile, keyFile: ours.folder + "/ca.key")
            #expect(loaded.details == ours.authority.details)
        }
    }

    @Test("hosts and names that cannot be are refused, with what is expected")
    func badWishes() throws {
        for host in [
            "", "a b", "10.0.0", "10.0.0.256", "asm1:7400", "-a.example", "a..b", "[::1]", "ü.example",
        ] {
            #expect(throws: CertificateWishError.badHost(host)) {
                try CertificateWish(name: "a", hosts: [host], role: .service)
            }
        }
        for name in ["", "../a", "a/b", "ca", ".hidden", "a b", String(repeating: "a", count: 65)] {
            #expect(throws: CertificateWishError.badName(name)) {
                try CertificateWish(name: name, hosts: ["a.example"], role: .service)
            }
        }
        #expect(throws: CertificateWishError.badDays(0)) {
            try CertificateWish(name: "a", hosts: [], role: .service, days: 0)
        }
    }

    @Test("a certificate is for the hosts it names, a wildcard for one label, and no other")
    func hostMatching() throws {
        let (authority, _) = try CertificateAuthority.make(named: "A")
        let details = try authority.issue(
            try CertificateWish(
                name: "a", hosts: ["asm1.example", "*.web.example", "10.0.0.11", "fd00::1"], role: .https)
        ).details

        for host in [
            "asm1.example", "ASM1.example", "asm1.example.", "x.web.example", "10.0.0.11", "fd00:0::1",
        ] {
            #expect(details.isFor(host), "\(host)")
        }
        for host in ["asm2.example", "a.b.web.example", "web.example", "10.0.0.12", "fd00::2", ""] {
            #expect(!details.isFor(host), "\(host)")
        }
    }

    @Test("plain text is for this machine only, and a name that looks like it does not pass")
    func loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1", "0:0::1"] {
            #expect(PlainText.isLoopback(host), "\(host)")
        }
        for host in [
            "0.0.0.0", "::", "10.0.0.1", "127.example.com", "127.0.0.1.example.com", "localhost.example.com",
            "", "db1", "::ffff:10.0.0.1",
        ] {
            #expect(!PlainText.isLoopback(host), "\(host)")
        }
    }
}
