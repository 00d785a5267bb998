import ASMClient
import AsyncHTTPClient
import Domain
import Foundation
import NIOCore
import NIOHTTP1

/// A Web Service as a client without a library of ours sees it.
struct Web: Sendable, CustomStringConvertible {
    struct Answer: Sendable {
        let status: Int
        let body: JSON
        /// Which web server answered, where a load balancer says so.
        let server: String?
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Somebody who has logged in.
    struct Login: Sendable {
        let name: String
        let token: Sealed<String>
        let user: User.ID
    }

    var host = "127.0.0.1"
    let port: Int
    /// The file of the authority that vouches for it; nil for plain HTTP.
    var authority: String?
    var description: String { "\(authority == nil ? "http" : "https")://\(host):\(port)" }

    init(host: String = "127.0.0.1", port: Int, authority: String? = nil) {
        self.host = host
        self.port = port
        self.authority = authority
    }

    func address() throws -> WebAddress { try WebAddress(description) }

    /// How a client reaches it and whom it trusts.
    func configuration() throws -> ClientConfiguration {
        var configuration = try ClientConfiguration(addresses: [address()])
        configuration.trustedCertificatesFile = authority
        return configuration
    }

    func call(
        _ method: String, _ path: String, as login: Login? = nil, key: ClientID? = nil, _ body: JSON? = nil,
        within limit: TimeAmount = .seconds(30)
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: description + path)
        request.method = HTTPMethod(rawValue: method)
        if authority != nil { request.tlsConfiguration = try configuration().tls() }
        if let login { request.headers.add(name: "Authorization", value: "Bearer \(login.token.open)") }
        if let key { request.headers.add(name: "Idempotency-Key", value: "\(key)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        }
        let response = try await HTTPClient.shared.execute(request, timeout: limit)
        let bytes = try await response.body.collect(upTo: 16 << 20)
        // Not everything that is answered is JSON: metrics are text, some answers are empty.
        let json = try? JSONDecoder().decode(JSON.self, from: Data(bytes.readableBytesView))
        return Answer(
            status: Int(response.status.code), body: json ?? .string(String(buffer: bytes)),
            server: response.headers.first(name: "X-Web"))
    }

    /// As `call`, for what must succeed.
    @discardableResult
    func ask(
        _ method: String, _ path: String, as login: Login? = nil, key: ClientID? = nil, _ body: JSON? = nil
    ) async throws -> JSON {
        let answer = try await call(method, path, as: login, key: key, body)
        guard (200..<300).contains(answer.status) else {
            throw Failure(description: "\(method) \(path) was answered \(answer.status): \(answer.body)")
        }
        return answer.body
    }

    func logIn(_ name: String, password: String) async throws -> Login {
        let body = try await ask(
            "POST", "/v1/sessions", ["login": .string(name), "password": .string(password)])
        guard let token = body["token"].text, let id = body["user"]["id"].text, let user = User.ID(id) else {
            throw Failure(description: "The log-in was answered \(body)")
        }
        return Login(name: name, token: Sealed(token), user: user)
    }

    func createThread(_ people: [Login], subject: String = "Ward 4") async throws -> MessageThread.ID {
        let body = try await ask(
            "POST", "/v1/threads", as: people.first,
            [
                "clientId": .string("\(ClientID.random())"), "subject": .string(subject),
                "participants": .array(people.map { .string("\($0.user)") }),
            ])
        guard let id = body["thread"]["id"].text, let thread = MessageThread.ID(id) else {
            throw Failure(description: "The new thread was answered \(body)")
        }
        return thread
    }

    /// The whole history of a thread, page by page.
    func history(of thread: MessageThread.ID, as login: Login) async throws -> [JSON] {
        var entries: [JSON] = []
        while true {
            let after = entries.last?["number"].integer ?? 0
            let page = try await ask(
                "GET", "/v1/threads/\(thread)/entries?after=\(after)&limit=500", as: login)
            entries += page["entries"].list
            guard page["more"] == .bool(true), !page["entries"].list.isEmpty else { return entries }
        }
    }

    /// One of the figures at `/metrics`.
    func metric(_ name: String) async throws -> Int? {
        let text = try await ask("GET", "/metrics").text ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
        return line?.split(separator: " ").last.flatMap { Double($0) }.map { Int($0) }
    }
}
