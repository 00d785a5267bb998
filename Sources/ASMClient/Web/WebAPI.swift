import AsyncHTTPClient
package import Domain
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// REST requests to any of several Web Services: the next address is tried where one does not answer.
///
/// Every request may be repeated: those that change something carry the client's id for it.
package final class WebAPI: Sendable {
    /// How often all addresses are tried.
    static let rounds = 3
    static let requestTimeout = TimeAmount.seconds(15)
    static let answerByteLimit = 64 << 20

    /// A connection that cannot be made is an answer: the next address is tried then, not the same for 15 s.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration.singletonConfiguration
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }()

    package let addresses: [WebAddress]
    private let tls: TLSConfiguration
    private let preferred = Mutex(0)

    /// Throws when the file of trusted certificates cannot be read.
    package init(_ configuration: ClientConfiguration) throws {
        addresses = configuration.addresses
        tls = try configuration.tls()
    }

    /// Asks and returns the answer's body. Throws `MessagingError`, or `CancellationError`.
    package func call(
        _ method: String, _ path: String, token: Sealed<String>? = nil, body: [UInt8]? = nil
    ) async throws -> [UInt8] {
        var backoff = Backoff()
        var failure = MessagingError.unreachable("there is no address")
        for _ in 0..<Self.rounds {
            for _ in addresses {
                let index = preferred.withLock { $0 }
                do {
                    return try await ask(addresses[index], method, path, token: token, body: body)
                } catch let error as MessagingError where !error.isWorthAnotherServer {
                    throw error
                } catch {
                    try Task.checkCancellation()
                    failure =
                        error as? MessagingError
                        ?? .unreachable(
                            "\(addresses[index]): \(ConnectionProblem.text(error, at: addresses[index]))")
                    preferred.withLock { if $0 == index { $0 = (index + 1) % addresses.count } }
                }
            }
            var generator = SystemRandomNumberGenerator()
            try await Task.sleep(for: backoff.next(using: &generator))
        }
        throw failure
    }

    private func ask(
        _ address: WebAddress, _ method: String, _ path: String, token: Sealed<String>?, body: [UInt8]?
    ) async throws -> [UInt8] {
        var request = HTTPClientRequest(url: "\(address)\(path)")
        request.method = HTTPMethod(rawValue: method)
        request.tlsConfiguration = tls
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token.open)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response = try await Self.client.execute(request, timeout: Self.requestTimeout)
        let answer = Array(buffer: try await response.body.collect(upTo: Self.answerByteLimit))
        guard (200..<300).contains(response.status.code) else {
            throw Self.error(status: Int(response.status.code), answer: answer)
        }
        return answer
    }

    private static func error(status: Int, answer: [UInt8]) -> MessagingError {
        // An answer that is no error of ours comes from something in between; the status says enough then.
        if let refusal = try? WebAnswer.read(answer, WebAnswer.refusal) { return MessagingError(refusal) }
        let code: Refusal.Code = [502, 503, 504].contains(status) ? .unavailable : .internalError
        return MessagingError(code, "The server answered with status \(status).")
    }
}

extension MessagingError {
    fileprivate var isWorthAnotherServer: Bool {
        code == Refusal.Code.unavailable.rawValue || code == Self.unreachableCode
    }
}

extension Array where Element == UInt8 {
    fileprivate init(buffer: ByteBuffer) { self = Array(buffer.readableBytesView) }
}
