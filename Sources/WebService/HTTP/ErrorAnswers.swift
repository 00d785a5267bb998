import Domain
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1
import Observability

/// The body of every error answer.
struct ErrorBody {
    let refusal: Refusal

    init(_ refusal: Refusal) { self.refusal = refusal }

    /// `{"error":{"code":…,"message":…,"retryAfterMs":…}}`
    var json: ByteBuffer {
        var bytes: [UInt8] = []
        JSONWriter.raw(#"{"error":{"code":"#, into: &bytes)
        JSONWriter.string(refusal.code.rawValue, into: &bytes)
        JSONWriter.raw(#","message":"#, into: &bytes)
        JSONWriter.string(refusal.message, into: &bytes)
        if let milliseconds = refusal.retryAfterMilliseconds {
            JSONWriter.raw(#","retryAfterMs":"#, into: &bytes)
            JSONWriter.integer(Int64(milliseconds), into: &bytes)
        }
        JSONWriter.raw("}}", into: &bytes)
        return ByteBuffer(bytes: bytes)
    }
}

extension Response {
    /// The one place where a refusal becomes HTTP.
    init(_ refusal: Refusal) {
        let body = ErrorBody(refusal).json
        var headers: HTTPFields = [
            .contentType: "application/json; charset=utf-8", .contentLength: "\(body.readableBytes)",
        ]
        if let milliseconds = refusal.retryAfterMilliseconds {
            headers[.retryAfter] = "\((milliseconds + 999) / 1_000)"
        }
        // What is left of a body that is too large is not read: the connection ends with the answer.
        if refusal.code == .tooLarge { headers[.connection] = "close" }
        if refusal.code == .unauthenticated { headers[.wwwAuthenticate] = "Bearer" }
        self.init(
            status: .init(code: refusal.code.httpStatus), headers: headers, body: .init(byteBuffer: body))
    }
}

/// Turns what handlers throw into error answers, counts and times every answer.
struct ErrorAnswers: RouterMiddleware {
    typealias Context = WebContext

    let metrics: WebMetrics
    /// How long a refusal for too many requests is held back at most.
    let hold: Duration

    func handle(
        _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response: Response
        do {
            response = try await next(request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            // Whoever asks again at once instead of waiting would take turns from those who do not.
            if let refusal = error as? Refusal, refusal.code == .tooManyRequests {
                // Ends early only when the client or this server goes.
                try? await Task.sleep(
                    for: min(hold, .milliseconds(refusal.retryAfterMilliseconds ?? Int.max / 1_000_000)))
            }
            response = answer(error, to: request, context)
        }
        metrics.answered(status: response.status.code)
        metrics.httpSeconds.record(.now - start)
        return response
    }

    private func answer(_ error: any Error, to request: Request, _ context: WebContext) -> Response {
        let refusal = Refusal(error, to: request)
        metrics.refused(refusal.code)
        if refusal.code == .internalError {
            context.logger.error("A request failed", metadata: ["error": "\(type(of: error))"])
        }
        var response = Response(refusal)
        if refusal.code == .methodNotAllowed {
            response.headers[.allow] = ServiceAPI.methods(at: request.uri.path)
                .map(\.rawValue).joined(separator: ", ")
        }
        return response
    }
}

extension Refusal {
    /// What is told to the client about an error that a handler threw.
    fileprivate init(_ error: any Error, to request: Request) {
        switch error {
        case let refusal as Refusal: self = refusal
        case let error as HTTPError where error.status == .notFound:
            let methods = ServiceAPI.methods(at: request.uri.path)
            if methods.isEmpty || methods.contains(request.method) {
                self.init(.notFound, "There is nothing at this address.")
            } else {
                let allowed = methods.map(\.rawValue).joined(separator: ", ")
                self.init(.methodNotAllowed, "This address answers \(allowed) only.")
            }
        case is CancellationError:
            self.init(.unavailable, "This server is going; try again.", retryAfterMilliseconds: 500)
        default: self.init(.internalError, "Something went wrong here; the cause is in the server's log.")
        }
    }

    /// What is wrong with a text; nil when it can be sent.
    init?(checking text: String, against limits: MessageLimits) {
        do {
            try limits.check(text: text)
            return nil
        } catch {
            self.init(error)
        }
    }

    init(_ rejection: DraftRejection) {
        switch rejection {
        case .empty: self.init(.empty, "A message needs a text.")
        case .tooLarge(let limit): self.init(.tooLarge, "This text is longer than \(limit) bytes of UTF-8.")
        case .lineBreakInSubject: self.init(.badRequest, "`subject` must be a single line.")
        case .tooManyParticipants(let limit):
            self.init(.badRequest, "`participants` may name at most \(limit) users.")
        }
    }
}
