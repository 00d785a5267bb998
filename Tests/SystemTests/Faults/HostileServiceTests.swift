import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A Web Service whose ASM Service is hostile")
    struct HostileServiceTests {
        /// What makes a Web Service ask for an answer of each kind.
        private static func question(_ kind: String) -> (method: String, path: String, body: JSON?) {
            let id = JSON.string("\(ClientID.random())")
            switch kind {
            case "accepted": return ("POST", "/v1/threads/7/messages", ["clientId": id, "text": "x"])
            case "thread_created":
                return ("POST", "/v1/threads", ["clientId": id, "participants": .array([.string("5")])])
            case "logged_in": return ("POST", "/v1/sessions", ["login": "ann", "password": "a password"])
            case "users": return ("GET", "/v1/users?search=a", nil)
            case "inbox": return ("GET", "/v1/threads", nil)
            case "thread": return ("GET", "/v1/threads/7", nil)
            case "history": return ("GET", "/v1/threads/7/entries", nil)
            case "message_details": return ("GET", "/v1/threads/7/messages/1", nil)
            case "log_page": return ("GET", "/v1/entries?after=\(LogEpoch(high: 7, low: 9)).1", nil)
            default: return ("GET", "/v1/me", nil)
            }
        }

        @Test(
            "every field of every answer and push at its extremes ends a connection at most, and people are served afterwards",
            .timeLimit(.minutes(5)))
        func extremes() async throws {
            let contract = try LinkContract()
            let hostile = try await HostileService(LinkNumbers(contract))
            let program = try await Program(
                "asm web-service",
                path: ProcessInfo.processInfo.environment["ASM_TEST_BINARY"] ?? Program.asmPath(),
                ["web-service", "--listen", "127.0.0.1:0", "--server", "127.0.0.1:\(hostile.port)"])
            let web = Web(port: try await program.port())
            try await Deployment.untilReady(web, servers: 1)
            let login = Web.Login(
                name: "ann", token: Sealed(String(repeating: "A", count: 43)), user: User.ID(rawValue: 5))
            let fuzzer = AnswerFuzzer(contract: contract)

            let answers = fuzzer.extremes(of: "Response")
            #expect(answers.count > 500)
            for answer in answers where program.progress.value.exitStatus == nil {
                hostile.answer.update { $0 = answer.bytes }
                let question = Self.question(answer.kind)
                do {
                    let got = try await web.call(question.method, question.path, as: login, question.body)
                    #expect((200...599).contains(got.status), "\(answer.name)")
                } catch {
                    Issue.record("\(answer.name): \(error). \(program.tail)")
                }
            }

            let person = Person(login)
            try await person.connect(to: web)
            // The numbers that the Web Service gave its sessions, each as they are written in a list.
            let sessions = Wire.bytes(2, (1...20).flatMap { Wire.varint($0) })
            let pushes = fuzzer.extremes(of: "Frame").filter {
                ["delivery", "session_ended", "draining"].contains($0.kind)
            }
            #expect(pushes.count > 50)
            for push in pushes where program.progress.value.exitStatus == nil {
                hostile.push(push.bytes)
                // The same for sessions that there are, where it is an item of a delivery.
                if push.kind == "delivery",
                    let items = Wire.fields(push.bytes).first.map({ Wire.fields($0.body) })
                {
                    let body = items.flatMap { Wire.bytes($0.number, $0.body + sessions) }
                    hostile.push(Wire.bytes(hostile.numbers.delivery, body))
                }
                try await Deployment.untilReady(web, servers: 1)
            }

            #expect(program.progress.value.exitStatus == nil, "\(program.tail)")
            hostile.answer.update {
                $0 = Wire.bytes(
                    hostile.numbers.number("identity", of: "Response"),
                    Wire.bytes(1, Wire.number(1, 5) + Wire.text(3, "Ann")))
            }
            let me = try await web.ask("GET", "/v1/me", as: login)
            #expect(me["user"]["name"].text == "Ann")
            try await hostile.stop()
        }
    }
}
