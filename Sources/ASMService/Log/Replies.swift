import Domain
import SQLDatabase
import ServiceLink
import Store

/// The answers of one batch, sent to each connection in one go.
struct ReplyBatch {
    private var connections: [(connection: LinkConnection, responses: [LinkResponse])] = []

    mutating func add(_ outcome: AppendOutcome, to address: ReplyAddress) {
        var response = LinkResponse()
        response.id = address.request
        switch outcome {
        case .success(let place): response.accepted = LinkAccepted(place)
        case .failure(let refusal): response.refused = LinkRefused(Refusal(refusal))
        }
        // A handful of web processes at most: a search through them is cheaper than a dictionary.
        let index = connections.firstIndex { $0.connection === address.connection }
        if let index {
            connections[index].responses.append(response)
        } else {
            connections.append((address.connection, [response]))
        }
    }

    func send() {
        for (connection, responses) in connections { connection.send(responses) }
    }
}

extension ReplyAddress {
    func refuse(_ refusal: Refusal) {
        answer(.refused(LinkRefused(refusal)))
    }

    func answer(_ body: LinkResponse.OneOf_Body) {
        guard request != 0 else { return }
        var response = LinkResponse()
        response.id = request
        response.body = body
        connection.send(response)
    }
}

extension LinkAccepted {
    init(_ place: Acceptance) {
        self.init()
        position = place.position
        number = place.number
        at = place.at.microseconds
        replayed = place.replayed
    }
}

extension Refusal {
    /// The refusal that a rule of the log becomes for the client.
    init(_ refusal: AppendRefusal) {
        switch refusal {
        case .keyReused:
            self.init(
                .keyReused, "This clientId was used for another request; make a new one for each request.")
        case .notFound: self.init(.notFound, "There is no such thread or message.")
        case .threadClosed: self.init(.threadClosed, "This thread is closed; start a new one.")
        case .repeatedInBatch:
            self.init(
                .unavailable, "This request is being worked on; repeat it.", retryAfterMilliseconds: 100)
        case .notYours: self.init(.forbidden, "Only its author can take a message back.")
        case .noSuchUser: self.init(.notFound, "A participant does not exist.")
        }
    }

    /// The refusal that a failure becomes: nothing internal, only what the client can do.
    init(failure error: any Error) {
        switch error {
        case let refusal as Refusal: self = refusal
        case let refusal as AppendRefusal: self.init(refusal)
        case StoreError.superseded:
            self.init(
                .unavailable, "This server does not serve now; another one does.", retryAfterMilliseconds: 0)
        case let error as SQLError where error.isOfOneStatement:
            self.init(
                .internalError, "The request could not be stored; an administrator finds why in the log.")
        case is SQLError, is CancellationError:
            self.init(
                .unavailable, "The outcome is not known: repeat the request with the same clientId.",
                retryAfterMilliseconds: 500)
        default: self.init(.internalError, "The request failed; an administrator finds why in the log.")
        }
    }

    /// The same for what changes nothing or is one transaction: when the database has too much to do, that is no reason
    /// to leave this server, and the caller knows that nothing was done.
    init(failureOfRequest error: any Error) {
        guard case SQLError.overloaded = error else {
            self.init(failure: error)
            return
        }
        self.init(
            .tooManyRequests, "The database has too much to do; try again.",
            retryAfterMilliseconds: Int.random(in: 500...1_500))
    }
}

extension SQLError {
    /// The database is well, and refused just this statement.
    var isOfOneStatement: Bool {
        switch self {
        case .constraint, .statement, .unexpectedValue: true
        default: false
        }
    }
}
