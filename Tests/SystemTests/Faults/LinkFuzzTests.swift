import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("The service link under hostile bytes")
    struct LinkFuzzTests {
        /// The program that is tried: the release build where `ASM_TEST_BINARY` names it.
        private static func program() throws -> String {
            try ProcessInfo.processInfo.environment["ASM_TEST_BINARY"] ?? Program.asmPath()
        }

        private static func start(_ arguments: [String]) async throws -> (program: Program, port: Int) {
            let program = try await Program(
                "asm \(arguments[0])", path: try Self.program(), arguments + ["--listen", "127.0.0.1:0"])
            return (program, try await program.port())
        }

        /// An ASM Service and a Web Service, with two people who share a thread.
        private struct Site {
            let service: Program
            let port: Int
            let web: Web
            let webProgram: Program
            let people: [Web.Login]
            let thread: MessageThread.ID
            let numbers: LinkNumbers
            let fuzzer: LinkFuzzer

            init(in folder: String) async throws {
                let database = try await PostgresServer.shared().createDatabase()
                let passwords = folder + "/password"
                try Deployment.password.write(toFile: passwords, atomically: true, encoding: .utf8)
                try await Deployment.addUsers(2, to: database, passwordFile: passwords)
                (service, port) = try await LinkFuzzTests.start(["service", "--database", database])
                let started = try await LinkFuzzTests.start(["web-service", "--server", "127.0.0.1:\(port)"])
                webProgram = started.program
                web = Web(port: started.port)
                try await Deployment.untilReady(web, servers: 1)
                var people: [Web.Login] = []
                for number in 1...2 {
                    people.append(try await web.logIn("user\(number)", password: Deployment.password))
                }
                self.people = people
                thread = try await web.createThread(people)
                // The fuzzer has a session of its own, which it ends.
                let login = try await web.logIn("user1", password: Deployment.password)
                let own = try await web.createThread([login])
                let contract = try LinkContract()
                numbers = try LinkNumbers(contract)
                fuzzer = LinkFuzzer(
                    contract: contract, numbers: numbers,
                    known: .init(
                        token: Self.bytes(login.token.open), session: 77, thread: own.rawValue,
                        user: login.user.rawValue))
            }

            private static func bytes(_ token: String) -> [UInt8] {
                let text = token.replacingOccurrences(of: "-", with: "+").replacingOccurrences(
                    of: "_", with: "/")
                let padded = text + String(repeating: "=", count: (4 - text.count % 4) % 4)
                return Array(Data(base64Encoded: padded) ?? Data())
            }

            func connect() async throws -> RawLink { try await RawLink(port: port, numbers: numbers) }

            /// A person writes, and the other reads it: as before all this.
            func servesPeople() async throws {
                let (sender, reader) = (Person(people[0]), Person(people[1]))
                try await sender.connect(to: web)
                try await reader.connect(to: web)
                let answer = await sender.send("all well?", to: thread, id: .random())
                guard case .accepted = answer else {
                    throw Program.Failure(
                        description: "A message was not accepted: \(answer)\n\(service.tail)")
                }
                try await reader.untilSeen(1)
            }

            /// Whether it runs, and has said nothing of a crash.
            var isAlive: Bool { service.progress.value.exitStatus == nil }
        }

        /// Sends requests on one connection, some at a time, and waits for all answers.
        private func ask(_ requests: [LinkFuzzer.Request], as caller: LinkFuzzer.Caller, of site: Site)
            async throws
        {
            let link = try await site.connect()
            if caller == .session {
                let attach = LinkFuzzer.Request(
                    name: "attach",
                    body: Wire.number(
                        site.numbers.number("session", of: "Request"), site.fuzzer.known.session)
                        + Wire.bytes(site.numbers.number("attach", of: "Request"), []), value: nil, field: "")
                link.send(site.fuzzer.frame(attach, id: 1, as: .token))
                try await link.state.until("a session should be attached") { $0.answers[1] }
            }
            var id: UInt64 = 1
            var rest = requests[...]
            while !rest.isEmpty {
                var batch: [UInt64: LinkFuzzer.Request] = [:]
                for request in rest.prefix(64) {
                    id += 1
                    batch[id] = request
                    link.send(site.fuzzer.frame(request, id: id, as: caller))
                }
                rest = rest.dropFirst(64)
                let ids = Array(batch.keys)
                let answers = try await link.state.until("answers to all of \(batch.values.map(\.name))") {
                    state in
                    state.isClosed || ids.allSatisfy { state.answers[$0] != nil } ? state.answers : nil
                }
                for (id, request) in batch {
                    guard let answer = answers[id] else {
                        Issue.record("\(request.name), as \(caller): no answer. \(site.service.tail)")
                        continue
                    }
                    guard request.value?.isOutOfRange == true else { continue }
                    let refusal = site.numbers.refusal(answer)
                    #expect(refusal?.code == "bad-request", "\(request.name), as \(caller)")
                    #expect(refusal?.message.contains("`\(request.field)`") == true, "\(request.name)")
                }
            }
            link.close()
        }

        @Test(
            "every field of every request at its extremes is answered, what cannot be is refused by its name, and the service serves on",
            .timeLimit(.minutes(5)))
        func extremes() async throws {
            try await withTemporaryFolder { folder in
                let site = try await Site(in: folder)
                for caller in LinkFuzzer.Caller.allCases {
                    let requests =
                        site.fuzzer.requests(as: caller) + (caller == .nobody ? site.fuzzer.envelopes() : [])
                    let sound = requests.filter { $0.value?.isMalformed != true }
                    #expect(sound.count > 200)
                    try await ask(sound, as: caller, of: site)
                    #expect(site.isAlive, "\(site.service.tail)")
                    // Malformed ones get no further for anybody.
                    for request in requests where request.value?.isMalformed == true && caller == .nobody {
                        let link = try await site.connect()
                        link.send(site.fuzzer.frame(request, id: 2, as: caller))
                        try await link.state.until("\(request.name) should end the connection") {
                            $0.isClosed ? true : nil
                        }
                    }
                }
                #expect(site.isAlive, "\(site.service.tail)")
                try await site.servesPeople()
            }
        }

        @Test(
            "mutated and truncated frames end a connection at most, and the service serves on",
            .timeLimit(.minutes(5)))
        func mutations() async throws {
            let seed =
                ProcessInfo.processInfo.environment["ASM_FUZZ_SEED"].flatMap { UInt64($0) }
                ?? .random(in: 1 ... .max)
            try await withTemporaryFolder { folder in
                let site = try await Site(in: folder)
                var mutator = FrameMutator(generator: SeededGenerator(seed: seed))
                let requests = site.fuzzer.requests(as: .token).filter { $0.body.count < 4_096 }
                let end = ContinuousClock.now + .seconds(5)
                var link = try await site.connect()
                var fence: UInt64 = 1 << 32
                var count = 0
                while ContinuousClock.now < end, site.isAlive {
                    for _ in 0..<32 {
                        let request = requests.randomElement(using: &mutator.generator) ?? requests[0]
                        let caller =
                            LinkFuzzer.Caller.allCases.randomElement(using: &mutator.generator) ?? .nobody
                        link.send(
                            mutator.mutated(
                                site.fuzzer.frame(
                                    request, id: .random(in: 1...99, using: &mutator.generator), as: caller)))
                        count += 1
                    }
                    fence += 1
                    let (now, asked) = (link, fence)
                    now.send(site.fuzzer.frame(requests[0], id: asked, as: .nobody))
                    // A frame that was cut may swallow what comes next: then silence is right.
                    _ = try? await now.state.until("the fence", within: .milliseconds(300)) {
                        $0.isClosed || $0.answers[asked] != nil ? true : nil
                    }
                    guard now.state.value.answers[asked] == nil else { continue }
                    now.close()
                    link = try await site.connect()
                }
                #expect(site.isAlive, "seed \(seed), after \(count) frames. \(site.service.tail)")
                #expect(count > 300, "seed \(seed)")
                do { try await site.servesPeople() } catch {
                    Issue.record("seed \(seed), after \(count) frames: \(error)")
                }
            }
        }

        @Test(
            "a first frame over 4 KiB ends the connection, and bytes that trickle do not put off the end",
            .timeLimit(.minutes(1)))
        func beforeHello() async throws {
            try await withTemporaryFolder { folder in
                let site = try await Site(in: folder)

                let large = try await RawLink(port: site.port, numbers: site.numbers, saysHello: false)
                large.send([0, 0, 0x10, 1, 10])
                try await large.state.until("a long first frame should end it", within: .seconds(5)) {
                    $0.isClosed ? true : nil
                }

                let slow = try await RawLink(port: site.port, numbers: site.numbers, saysHello: false)
                let begin = ContinuousClock.now
                slow.send([0, 0, 0x10, 0])
                while !slow.state.value.isClosed, ContinuousClock.now - begin < .seconds(10) {
                    slow.send([10])
                    try await Task.sleep(for: .milliseconds(100))
                }
                #expect(slow.state.value.isClosed)
                try await site.servesPeople()
            }
        }

        @Test("who opens connections and says nothing keeps nobody out", .timeLimit(.minutes(1)))
        func crowd() async throws {
            try await withTemporaryFolder { folder in
                let site = try await Site(in: folder)
                var silent: [RawLink] = []
                for _ in 0..<150 {
                    silent.append(try await RawLink(port: site.port, numbers: site.numbers, saysHello: false))
                }

                let link = try await site.connect()

                #expect(link.state.value.isGreeted)
                #expect(silent.contains { $0.state.value.isClosed })
                try await site.servesPeople()
            }
        }

        @Test("a name with line feeds and escapes is one line of the log", .timeLimit(.minutes(1)))
        func forgedLine() async throws {
            try await withTemporaryFolder { folder in
                let site = try await Site(in: folder)
                let link = try await RawLink(port: site.port, numbers: site.numbers, saysHello: false)
                let name = "eve\n2026-11-28T00:00:00+0000 error asm: forged\u{1B}[2J\u{202E}"
                link.send(Wire.frame(Wire.bytes(site.numbers.hello, Wire.number(1, 1) + Wire.text(2, name))))
                // A second hello is a reason for the log to name the peer.
                link.send(Wire.frame(Wire.bytes(site.numbers.hello, Wire.number(1, 1))))

                let log = try await site.service.progress.until("the log should name the peer") {
                    $0.errorText.contains("eve") ? $0.errorText : nil
                }

                #expect(log.contains(#"eve\n2026-11-28T00:00:00+0000 error asm: forged\u{1B}[2J\u{202E}"#))
                #expect(!log.unicodeScalars.contains { $0 != "\n" && EscapedText.steers($0) })
                #expect(
                    !log.split(separator: "\n").contains {
                        $0.hasPrefix("2026-11-28T00:00:00+0000 error asm: forged")
                    })
            }
        }
    }
}
