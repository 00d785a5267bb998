import Domain
import Foundation
import TestSupport
import Testing

@testable import SystemSupport

extension SystemTests {
    @Suite("A backup put back without a word to anybody")
    struct RestoredBackupTests {
        @Test(
            "Clients that knew more are told to load the log anew, live and by poll; who had seen less goes on",
            .timeLimit(.minutes(1)))
        func restored() async throws {
            try await withTemporaryFolder { folder in
                let passwordFile = folder + "/password"
                try Deployment.password.write(toFile: passwordFile, atomically: true, encoding: .utf8)
                let data = folder + "/data"
                let backup = folder + "/backup"
                try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: false)
                try await Deployment.addUsers(
                    2, to: "sqlite:\(data)/asm.sqlite", passwordFile: passwordFile)
                let server = try await Server(["up", "--data", data]) { ["--web-port", "\($0)"] }
                let web = Web(port: server.port)
                let author = try await web.logIn("user1", password: Deployment.password)
                let reader = try await web.logIn("user2", password: Deployment.password)
                let thread = try await web.createThread([author, reader])

                let early = try await web.cursor(of: reader)
                try await web.write(5, "old", to: thread, as: author)
                try await server.kill()
                try FileManager.default.copyItem(atPath: data, toPath: backup)
                try await server.start()
                try await web.write(10, "lost", to: thread, as: author)
                let cursor = try await web.cursor(of: reader)
                let person = Person(reader)
                try await person.connect(to: web)
                #expect(person.state.value.cursor.map { "\($0)" } == cursor)
                try await server.kill()
                try FileManager.default.removeItem(atPath: data)
                try FileManager.default.moveItem(atPath: backup, toPath: data)
                try await server.start()
                try await web.write(20, "new", to: thread, as: author)

                let page = try await web.ask("GET", "/v1/entries?after=\(cursor)", as: reader)
                #expect(page["resync"] == .bool(true))
                #expect(page["otherLog"] == .bool(true))
                try await person.connect(to: web)
                #expect(person.state.value.resyncs == 1)
                let known = try await web.ask("GET", "/v1/entries?after=\(early)", as: reader)
                #expect(known["resync"] == .bool(false))
                #expect(known["otherLog"] == .null)
                #expect(known["entries"].list.count == 25)
                let texts = try await web.history(of: thread, as: reader).compactMap { $0["text"].text }
                #expect(texts == (0..<5).map { "old \($0)" } + (0..<20).map { "new \($0)" })
            }
        }
    }
}

extension Web {
    /// Where the log of somebody ends now.
    fileprivate func cursor(of login: Login) async throws -> String {
        try await ask("GET", "/v1/entries", as: login)["cursor"].text ?? ""
    }

    fileprivate func write(
        _ count: Int, _ text: String, to thread: MessageThread.ID, as login: Login
    ) async throws {
        for index in 0..<count {
            try await ask(
                "POST", "/v1/threads/\(thread)/messages", as: login,
                ["clientId": .string("\(ClientID.random())"), "text": .string("\(text) \(index)")])
        }
    }
}
