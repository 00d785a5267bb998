import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    /// F24: a database in one file, and what its disk and the process do to it.
    @Suite("SQLite that is killed in a commit, has no room, or whose disk fails", .serialized)
    struct EmbeddedFaultTests {
        /// As long as anybody waits for the process to be back; its own part is about a second.
        private static let restartLimit = Duration.seconds(10)
        private static let largeText = String(repeating: "ward round ", count: 700)

        @Test(
            "F24: killed before, in and after a commit: nothing acknowledged is missing, nothing is there twice",
            .timeLimit(.minutes(3)),
            arguments: ["before_begin", "after_insert", "before_commit", "after_commit"])
        func killedInCommit(point: String) async throws {
            try await withEmbedded { folder, server, logins in
                let web = Web(port: server.port)
                let people = logins.map { Person($0) }
                let talk = try await Talk(people, at: web)
                for person in people { try await person.connect(to: web) }
                let record = Record()

                try await withThrowingTaskGroup { tasks in
                    tasks.addTask {
                        try await Talk.load([talk], perSecond: 100, for: .seconds(2), in: record)
                    }
                    try await people[0].untilAcknowledged(5)
                    try Self.arm("\(point):kill@3", in: folder)
                    let killed = try await server.current.ended()
                    #expect(killed.errorText.contains("Failpoint \(point): kill"))
                    try await tasks.waitForAll()
                }
                try Self.arm("", in: folder)
                let began = ContinuousClock.now
                try await server.start()
                #expect(ContinuousClock.now - began < Self.restartLimit)
                for person in people { try await person.connect(to: web) }
                await people[0].deliver("after all", to: talk.thread, in: record)

                try await record.expectKept([talk], at: [web], Comment(rawValue: server.current.tail))
                #expect(record.acknowledged > 5)
            }
        }

        @Test(
            "F24: on a full disk sending is refused and reading goes on; with room again the repeat is stored once, and nothing is missing",
            .timeLimit(.minutes(3)))
        func diskFull() async throws {
            try #require(geteuid() == 0, "Mounting a small file system needs root.")
            try await withTemporaryFolder { folder in
                let disk = try SmallDisk(folder + "/disk", megabytes: 4)
                defer { disk.remove() }
                try await withEmbedded(in: disk.path) { _, server, logins in
                    let web = Web(port: server.port)
                    let thread = try await web.createThread(logins)
                    func send(_ key: ClientID) async throws -> Web.Answer {
                        try await web.call(
                            "POST", "/v1/threads/\(thread)/messages", as: logins[0], key: key,
                            ["text": .string(Self.largeText)])
                    }
                    func stored() async throws -> Int {
                        try await web.history(of: thread, as: logins[1]).count { $0["kind"] == "message" }
                    }

                    var accepted = 0
                    var last = (key: ClientID.random(), status: 0)
                    repeat {
                        last.key = .random()
                        last.status = try await send(last.key).status
                        if last.status < 300 { accepted += 1 }
                    } while last.status < 300 && accepted < 2_000

                    #expect(last.status == 503, "\(accepted) accepted; \(server.current.tail)")
                    #expect(accepted > 10)
                    // Longer than a server may be without contact to its database.
                    try await Task.sleep(for: .seconds(7))
                    #expect(try await stored() == accepted, Comment(rawValue: server.current.tail))
                    try disk.resize(megabytes: 64)
                    var again = try await send(last.key)
                    let end = ContinuousClock.now + Self.restartLimit
                    while again.status == 503, ContinuousClock.now < end { again = try await send(last.key) }
                    #expect(again.status < 300 && again.body["replayed"] == .bool(false))
                    #expect(try await stored() == accepted + 1)
                }
            }
        }

        @Test(
            "F24: after a sync of the disk has failed nothing more is promised; started again, what was promised is there",
            .timeLimit(.minutes(3)))
        func syncFails() async throws {
            try await withTemporaryFolder { folder in
                let passwordFile = try await Self.prepare(folder)
                let port = try LoopbackPort.free()
                let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
                let asm = (tests as NSString).deletingLastPathComponent + "/asm"
                // Counted in each thread by itself, so that starting and logging in do not come so far.
                let traced = try await Program(
                    "strace asm up", path: "/usr/bin/strace",
                    [
                        "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
                        "inject=fsync,fdatasync:error=EIO:when=40+", "/usr/bin/setpriv", "--pdeathsig",
                        "KILL",
                        "--", asm, "up", "--data", folder, "--web-port", "\(port)",
                    ])
                let web = Web(port: try await traced.port())
                let login = try await web.logIn("user1", password: Deployment.password)
                let thread = try await web.createThread([
                    login, try await web.logIn("user2", password: Deployment.password),
                ])
                func send(_ text: String) async throws -> Int {
                    try await web.call(
                        "POST", "/v1/threads/\(thread)/messages", as: login, key: .random(),
                        ["text": .string(text)]
                    ).status
                }

                var accepted: [String] = []
                var status = 0
                for number in 1...2_000 {
                    status = try await send("\(number)")
                    guard status < 300 else { break }
                    accepted.append("\(number)")
                }
                #expect(status == 503, Comment(rawValue: traced.tail))
                for _ in 1...3 { #expect(try await send("never promised") == 503) }
                #expect(
                    traced.progress.value.outputText.contains("takes no more writes")
                        || traced.progress.value.errorText.contains("takes no more writes"),
                    Comment(rawValue: traced.tail))
                try await traced.kill()

                let server = try await Server(["up", "--data", folder]) { ["--web-port", "\($0)"] }
                let texts = try await Web(port: server.port).history(of: thread, as: login).compactMap {
                    $0["text"].text
                }
                #expect(Set(accepted).subtracting(texts).isEmpty, "promised and gone")
                #expect(texts.filter { $0 == "never promised" }.isEmpty)
                #expect(Set(texts).count == texts.count)
                _ = passwordFile
            }
        }

        private func withEmbedded(
            in place: String? = nil, _ body: (String, Server, [Web.Login]) async throws -> Void
        ) async throws {
            try await withTemporaryFolder { folder in
                let folder = place ?? folder
                _ = try await Self.prepare(folder)
                let server = try await Server(
                    ["up", "--data", folder], environment: ["ASM_FAILPOINT_FILE": folder + "/failpoints"]
                ) { ["--web-port", "\($0)"] }
                let web = Web(port: server.port)
                try await body(
                    folder, server,
                    [
                        web.logIn("user1", password: Deployment.password),
                        web.logIn("user2", password: Deployment.password),
                    ])
            }
        }

        private static func prepare(_ folder: String) async throws -> String {
            let passwordFile = folder + "/password"
            try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
            try await Deployment.addUsers(2, to: "sqlite:\(folder)/asm.sqlite", passwordFile: passwordFile)
            return passwordFile
        }

        private static func arm(_ plan: String, in folder: String) throws {
            try plan.write(toFile: folder + "/failpoints", atomically: true, encoding: .utf8)
        }
    }
}
