import Domain
import Foundation
import Glibc
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("Servers that come back late, or twice", .serialized)
    struct ZombieTests {
        @Test(
            "a server that was stopped and superseded meanwhile accepts nothing and serves nothing when it wakes",
            .timeLimit(.minutes(2)))
        func superseded() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let old = try await installation.service(name: "ward:1")
                let only = try await Server(["web-service", "--server", old.address])
                let web = Web(port: only.port)
                try await Deployment.untilReady(web, servers: 1)
                let ann = try await web.logIn("user1", password: Deployment.password)
                let bob = try await web.logIn("user2", password: Deployment.password)
                let thread = try await web.createThread([ann, bob])

                old.current.signal(SIGSTOP)
                let new = try await installation.service(name: "ward:1")
                let other = try await Server(["web-service", "--server", new.address])
                try await Deployment.untilReady(Web(port: other.port), servers: 1)
                try await Web(port: other.port).ask(
                    "POST", "/v1/threads/\(thread)/messages", as: ann, key: .random(), ["text": "new"])
                old.current.signal(SIGCONT)

                // Whoever reaches only the old one gets nothing done: neither a message nor an answer.
                let end = ContinuousClock.now + .seconds(8)
                var answers: Set<Int> = []
                while ContinuousClock.now < end {
                    let sent = try await web.call(
                        "POST", "/v1/threads/\(thread)/messages", as: ann, key: .random(), ["text": "late"])
                    answers.insert(sent.status)
                }
                #expect(answers == [503])
                #expect(try await web.call("GET", "/v1/me", as: bob).status == 503)
                let history = try await Web(port: other.port).history(of: thread, as: bob)
                #expect(history.compactMap { $0["text"].text } == ["new"])
                #expect(old.current.progress.value.errorText.contains("serves nothing"))
                #expect(try await installation.states() == ["active": 1])
            }
        }

        @Test(
            "a second server of the same name does not start, and the first one goes on; --take-over pushes it out",
            .timeLimit(.minutes(2)))
        func twoOfOneName() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                let first = try await installation.service(name: "ward:1")
                let arguments = [
                    "service", "--database", installation.databaseURL, "--config",
                    installation.shortTimesFile,
                    "--name", "ward:1", "--listen", "127.0.0.1:0",
                ]

                try await expectFailure(arguments, saying: ["ward:1", "two servers cannot be one", "--name"])

                try await installation.until("ward:1", is: "active")
                #expect(first.current.progress.value.exitStatus == nil)
                let second = try await Program.asm(arguments + ["--take-over"])
                _ = try await second.port()
                try await first.current.progress.until("the first one should notice") { progress in
                    progress.errorText.contains("serves nothing") ? true : nil
                }
                try await second.kill()
                // Who was killed does not beat: its name is free at once after a look.
                try await first.kill()
                let third = try await installation.service(name: "ward:1")
                try await installation.until("ward:1", is: "active")
                try await third.kill()
            }
        }

        @Test(
            "F05: the slot of a server that stands still too long goes to another; it wakes degraded, and serves when a slot is free",
            .timeLimit(.minutes(3)))
        func inactive() async throws {
            try await withTemporaryFolder { folder in
                let installation = try await Installation.new(on: .shared(), folder: folder)
                try await installation.license(servers: 1)
                let (a, b) = (try await installation.service(), try await installation.service())
                let both = try await Server(["web-service", "--server", "\(a.address),\(b.address)"])
                let web = Web(port: both.port)
                try await Deployment.untilReady(web, servers: 2)
                let ann = try await web.logIn("user1", password: Deployment.password)
                let bob = try await web.logIn("user2", password: Deployment.password)
                let thread = try await web.createThread([ann, bob])
                try await installation.until(b.address, is: "degraded")

                a.current.signal(SIGSTOP)
                try await installation.until(a.address, is: "unreachable")
                try await installation.until(a.address, is: "inactive")
                try await installation.until(b.address, is: "active")
                try await installation.until("b should take messages") {
                    try await web.call(
                        "POST", "/v1/threads/\(thread)/messages", as: ann, key: .random(), ["text": "b"]
                    ).status == 201
                }
                a.current.signal(SIGCONT)

                try await installation.until(a.address, is: "degraded")
                try await installation.until("the outage should be over") {
                    try await installation.incidents("inactive", open: true) == 0
                }
                #expect(try await installation.incidents("inactive") == 1)
                #expect(try await installation.events("Server Inactive") == 1)
                #expect(try await installation.incidents("unreachable") == 1)
                // b when it started, and a when it had lost its slot.
                #expect(try await installation.events("Server Unlicensed") == 2)

                b.current.signal(SIGTERM)
                try await b.current.ended()
                try await installation.until(a.address, is: "active")
                try await installation.until("a should take messages again") {
                    try await web.call(
                        "POST", "/v1/threads/\(thread)/messages", as: bob, key: .random(), ["text": "a"]
                    ).status == 201
                }
            }
        }
    }
}
