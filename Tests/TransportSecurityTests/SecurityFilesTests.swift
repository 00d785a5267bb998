import Foundation
import Logging
import TestSupport
import Testing

@testable import TransportSecurity

@Suite("Files of certificates and keys")
struct SecurityFilesTests {
    @Test("each thing that can be wrong with them is refused in one sentence that names the file")
    func badFiles() async throws {
        try await withTemporaryFolder { folder in
            let ours = try TestCertificates(in: folder)
            let good = try ours.issue("good")
            let other = try ours.issue("other")
            let web = try ours.issue("web", role: .web)
            let old = try ours.issue("old", days: 1, now: Date() - 10 * 86_400)
            let gone = try TestCertificates(in: folder, named: "gone", now: Date() - 4_000 * 86_400)
            let early = try ours.issue("early", now: Date() + 10 * 86_400)
            let (empty, garbage, locked) = (folder + "/empty", folder + "/garbage", folder + "/locked")
            try "".write(toFile: empty, atomically: true, encoding: .utf8)
            try
                "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nx\n"
                .write(toFile: garbage, atomically: true, encoding: .utf8)
            _ = try await OpenSSL.run([
                "pkcs8", "-topk8", "-in", good.key, "-passout", "pass:secret", "-out", locked,
            ])
            let cases: [(certificate: String, key: String, ca: String, says: [String])] = [
                (
                    folder + "/absent", good.key, ours.authorityFile,
                    ["absent", "cannot be read", "No such file"]
                ),
                (folder, good.key, ours.authorityFile, ["cannot be read", "Is a directory"]),
                (
                    good.certificate, other.key, ours.authorityFile,
                    ["other.key", "does not belong", "good.pem"]
                ),
                (good.certificate, locked, ours.authorityFile, ["locked", "encrypted", "openssl pkey"]),
                (good.certificate, good.key, empty, ["empty", "holds no certificate", "BEGIN CERTIFICATE"]),
                (empty, good.key, ours.authorityFile, ["empty", "holds no certificate"]),
                (good.certificate, empty, ours.authorityFile, ["empty", "holds no private key"]),
                (garbage, good.key, ours.authorityFile, ["garbage", "cannot be read", "issue"]),
                (good.certificate, garbage, ours.authorityFile, ["garbage", "expected an EC"]),
                (old.certificate, old.key, ours.authorityFile, ["CN=old", "expired on", "issue a new one"]),
                (early.certificate, early.key, ours.authorityFile, ["CN=early", "valid only from", "clock"]),
                (web.certificate, web.key, ours.authorityFile, ["CN=web", "not for use as a server"]),
                (
                    good.certificate, good.key, other.certificate,
                    ["CN=other", "not that of a certificate authority"]
                ),
                (
                    good.certificate, good.key, gone.authorityFile,
                    ["gone/ca.pem", "CN=Authority gone", "expired on"]
                ),
                (
                    ours.authorityFile, ours.folder + "/ca.key", ours.authorityFile,
                    ["is that of a certificate"]
                ),
            ]
            for (certificate, key, ca, words) in cases {
                let error = #expect(throws: SecurityFileError.self) {
                    try SecurityFiles(
                        .init(certificate: certificate, key: key, authorities: ca), for: .linkServer,
                        logger: quietLogger)
                }
                let text = error?.description ?? ""
                for word in words { #expect(text.contains(word), "\(word) is not in: \(text)") }
                #expect(!text.contains("\n") && !text.contains("NIOSSL"), Comment(rawValue: text))
            }
        }
    }

    @Test("RSA and P-384 keys of OpenSSL's are taken, in all their forms", arguments: ["rsa", "ec", "sec1"])
    func otherKeys(kind: String) async throws {
        try await withTemporaryFolder { folder in
            let (key, certificate) = (folder + "/k", folder + "/c")
            let algorithm = kind == "rsa" ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]
            _ = try await OpenSSL.run(
                [
                    "req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=a", "-keyout", key, "-out",
                    certificate,
                ]
                    + ["-addext", "basicConstraints=critical,CA:FALSE", "-newkey"] + algorithm)
            if kind == "sec1" { _ = try await OpenSSL.run(["ec", "-in", key, "-out", key]) }

            let files = try SecurityFiles(
                .init(certificate: certificate, key: key), for: .web, logger: quietLogger)
            #expect(files.certificate.subject == "CN=a")
        }
    }

    @Test("a key is written for its owner only, and no file is overwritten unless asked")
    func writing() async throws {
        try await withTemporaryFolder { folder in
            let path = folder + "/a.key"
            try SecurityFile.write("one", to: path, isSecret: true)
            #expect(throws: SecurityFileError.exists(file: path)) {
                try SecurityFile.write("two", to: path, isSecret: true)
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "one")
            try SecurityFile.write("three", to: path, isSecret: true, replaces: true)

            #expect(try String(contentsOfFile: path, encoding: .utf8) == "three")
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.key"])
        }
    }

    @Test("a replaced certificate is taken without a restart")
    func replaced() async throws {
        try await withTemporaryFolder { folder in
            let ours = try TestCertificates(in: folder)
            let log = RecordedLog()
            let files = try SecurityFiles(try ours.issue("a"), for: .linkServer, logger: log.logger)
            let before = files.certificate

            files.look()
            #expect(files.certificate == before)
            try ours.issue("a")
            files.look()

            #expect(files.certificate != before)
            #expect(log.lines.map(\.message) == ["New certificate files are in use"])
            #expect(log.lines.first?.facts["certificate.fingerprint"] == files.certificate.fingerprint)
        }
    }

    @Test(
        "changed files are noticed by themselves; the authorities' ends are watched too",
        .timeLimit(.minutes(1)))
    func watched() async throws {
        try await withTemporaryFolder { folder in
            let ours = try TestCertificates(in: folder)
            let files = try SecurityFiles(
                try ours.issue("a"), for: .linkServer, every: .milliseconds(10), logger: quietLogger)
            let before = files.certificate
            #expect(files.certificates == [before, ours.authority.details])

            try await withThrowingTaskGroup { tasks in
                tasks.addTask { try await files.run() }
                try ours.issue("a")
                while files.certificate == before { try await Task.sleep(for: .milliseconds(10)) }
                tasks.cancelAll()
            }

            #expect(files.certificates == [files.certificate, ours.authority.details])
        }
    }

    @Test(
        "a bad replacement leaves the old one in use and is told once; half a replacement is not told at all")
    func badReplacement() async throws {
        try await withTemporaryFolder { folder in
            let ours = try TestCertificates(in: folder)
            let paths = try ours.issue("a")
            let log = RecordedLog()
            let files = try SecurityFiles(paths, for: .linkServer, logger: log.logger)
            let before = files.certificate
            let next = try ours.issue("b")

            // The certificate is new, the key not yet.
            try Self.copy(next.certificate, paths.certificate)
            files.look()
            #expect(log.lines.isEmpty)
            #expect(files.certificate == before)
            for _ in 0..<3 { files.look() }
            let line = try #require(log.lines.first)
            #expect(log.lines.count == 1 && line.level == .error)
            #expect(line.facts["certificate.problem"]?.contains("does not belong to the certificate") == true)
            try FileManager.default.removeItem(atPath: paths.key)
            for _ in 0..<3 { files.look() }
            #expect(log.lines.count == 2)
            #expect(files.certificate == before)

            try Self.copy(next.key, paths.key)
            files.look()
            #expect(files.certificate.subject == "CN=b")
            #expect(log.lines.last?.message == "New certificate files are in use")
        }
    }

    private static func copy(_ from: String, _ to: String) throws {
        let text = try String(contentsOfFile: from, encoding: .utf8)
        try text.write(toFile: to, atomically: true, encoding: .utf8)
    }
}
