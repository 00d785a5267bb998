import Domain
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLink

// How requests are read: each problem becomes a refusal that names the field and what is expected.

extension Request {
    /// The body, read from JSON; unknown fields are ignored.
    /// - Throws: `Refusal` when it is too large, not UTF-8, no JSON, or a field is missing or of the wrong type.
    ///
    /// `HTTPEdge` has looked at the size already, with a smaller limit where there is one.
    func json<Body: Decodable>(as type: Body.Type, limits: WebServiceLimits) async throws -> Body {
        let bytes: ByteBuffer
        do {
            bytes = try await body.collect(upTo: limits.sendBodyBytes)
        } catch is NIOTooManyBytesError {
            throw Refusal.bodyTooLarge(limits.sendBodyBytes)
        }
        guard String(validating: bytes.readableBytesView, as: UTF8.self) != nil else {
            throw Refusal(.notUTF8, "The body is not UTF-8.")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
        } catch let error as DecodingError {
            throw Refusal(error)
        }
    }

    /// The token of the `Authorization` field.
    var token: SessionToken {
        get throws(Refusal) {
            guard let field = headers[.authorization] else {
                throw Refusal(.unauthenticated, "Log in first, and send `Authorization: Bearer TOKEN`.")
            }
            guard let token = SessionToken(authorization: field) else { throw SessionToken.refusal }
            return token
        }
    }

    /// The id that the client gave to this request, from the body or the `Idempotency-Key` field.
    func clientID(inBody text: String?) throws(Refusal) -> ClientID {
        let header = HTTPField.Name("Idempotency-Key").flatMap { headers[$0] }
        guard let given = text ?? header else {
            throw Refusal(
                .badRequest, "`clientId` (or the `Idempotency-Key` field) is missing; expected a UUID.")
        }
        guard let id = ClientID(given) else {
            throw Refusal(.badRequest, "\(text == nil ? "`Idempotency-Key`" : "`clientId`") is not a UUID.")
        }
        if let header, ClientID(header) != id {
            throw Refusal(.badRequest, "`clientId` and `Idempotency-Key` differ; send one of them.")
        }
        return id
    }

    /// A whole number from the query; nil when it is not given.
    func number(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
        guard let text = try query(name) else { return nil }
        guard let number = Int64(canonical: text), range.contains(number) else {
            throw Refusal(
                .badRequest,
                "`\(name)` must be a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }

    /// A field of the query; nil when it is not given.
    /// - Throws: `bad-request` when it is given twice or its escapes are none, `not-utf8`.
    func query(_ name: String) throws(Refusal) -> String? {
        try Query(target: head.path ?? "").value(of: name)
    }

    /// The address that the request came from: the peer's, or what a trusted proxy says.
    func clientAddress(peer: String?, trustedProxies: TrustedProxies) -> String {
        guard let peer else { return "" }
        guard trustedProxies.contains(peer), let name = HTTPField.Name("X-Forwarded-For") else { return peer }
        let named = headers[values: name].flatMap { $0.split(separator: ",") }
            .map { $0.trimmingCharacters(in: .whitespaces) }
        return trustedProxies.client(forwarded: named) ?? peer
    }
}

extension WebContext {
    /// The thread of the path; what is no id is no thread either.
    var thread: MessageThread.ID {
        get throws(Refusal) {
            guard let text = parameters["id"], let id = MessageThread.ID(text) else {
                throw Refusal(.notFound, "There is no such thread.")
            }
            return id
        }
    }

    /// The message's number of the path.
    var number: EntryNumber {
        get throws(Refusal) {
            guard let text = parameters["number"], let number = Int64(canonical: text),
                LogRange.numbers.contains(number)
            else {
                throw Refusal(.notFound, "There is no such message.")
            }
            return number
        }
    }
}

extension Refusal {
    /// What is wrong with a body, naming the field.
    fileprivate init(_ error: DecodingError) {
        switch error {
        case .keyNotFound(let key, let context):
            self.init(.badRequest, "\(Self.field(context.codingPath + [key])) is missing.")
        case .valueNotFound(_, let context):
            self.init(.badRequest, "\(Self.field(context.codingPath)) is missing.")
        case .typeMismatch(let type, let context):
            self.init(.badRequest, "\(Self.field(context.codingPath)) must be \(Self.expected(type)).")
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            self.init(.badRequest, "\(Self.field(context.codingPath)) is not valid.")
        default: self.init(.badRequest, "The body is no valid JSON.")
        }
    }

    private static func field(_ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return "The body" }
        var name = ""
        for key in path {
            if let index = key.intValue {
                name += "[\(index)]"
            } else {
                name += (name.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return "`\(name)`"
    }

    private static func expected(_ type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Int64.Type, is Int.Type: "a whole number"
        case is Bool.Type: "true or false"
        case is [String].Type, is [Any].Type: "a list"
        default: "an object"
        }
    }
}

/// The users that a list of a body names.
func userIDs(_ texts: [String], field: String, limits: MessageLimits) throws(Refusal) -> [Int64] {
    guard texts.count <= limits.participants else {
        throw Refusal(.badRequest, "`\(field)` may name at most \(limits.participants) users.")
    }
    var ids: [Int64] = []
    for (index, text) in texts.enumerated() {
        guard let id = User.ID(text) else {
            throw Refusal(
                .badRequest, "`\(field)[\(index)]` must be a user's id: decimal digits as a string.")
        }
        ids.append(id.rawValue)
    }
    return ids
}
