import CPq
import DequeModule
import SQLDatabase

/// One statement on its way, and who waits for its answer.
struct Request: Sendable {
    let statement: EncodedStatement
    let submitted: ContinuousClock.Instant
    let continuation: CheckedContinuation<Answer, any Error>
    /// Whether it has been sent before and refused because its prepared form had become invalid.
    var isSecondAttempt = false
}

/// A connection on which statements are sent without waiting for the answers of those before.
///
/// Each statement is followed by its own Sync: it commits by itself, and its error is its own. Used by the
/// reactor's thread only.
final class PipelinedConnection {
    private struct InFlight {
        let request: Request
        let sent: ContinuousClock.Instant
        /// Whether the next result is that of preparing the statement.
        var awaitsPrepare = false
        var prepareFailed = false
        var answer: Answer?
    }

    /// What became of a request whose answer is complete.
    enum Outcome {
        case again(Request)
        case done
    }

    private let raw: RawConnection
    private let preparedLimit: Int
    private var inFlight = Deque<InFlight>()
    private var prepared: [String: String] = [:]
    private var preparedCount = 0
    private(set) var wantsToWrite = false

    init?(_ raw: RawConnection, preparedLimit: Int) {
        guard PQsetnonblocking(raw.handle, 1) == 0, PQenterPipelineMode(raw.handle) == 1 else { return nil }
        self.raw = raw
        self.preparedLimit = preparedLimit
    }

    var socket: Int32 { raw.socket }
    var inFlightCount: Int { inFlight.count }
    var oldestSent: ContinuousClock.Instant? { inFlight.first?.sent }

    /// Hands a statement to libpq; false when the connection is broken (the request then fails with the rest).
    func send(_ request: Request, now: ContinuousClock.Instant) -> Bool {
        inFlight.append(InFlight(request: request, sent: now))
        let statement = request.statement
        let accepted = statement.withParameters { count, values, lengths, formats in
            guard let name = preparedName(of: statement) else {
                return PQsendQueryParams(
                    raw.handle, statement.text, count, statement.types, values, lengths, formats, 1)
            }
            return PQsendQueryPrepared(raw.handle, name, count, values, lengths, formats, 1)
        }
        guard accepted == 1, PQpipelineSync(raw.handle) == 1 else { return false }
        return flush()
    }

    /// Writes what libpq still holds; false when the connection is broken.
    func flush() -> Bool {
        let rest = PQflush(raw.handle)
        wantsToWrite = rest == 1
        return rest >= 0
    }

    /// Reads what arrived and answers every statement that is complete; nil when the connection is broken.
    func receive() -> [Request]? {
        guard PQconsumeInput(raw.handle) == 1 else { return nil }
        var again: [Request] = []
        var ends = 0
        while !inFlight.isEmpty, PQisBusy(raw.handle) == 0 {
            guard let result = PQgetResult(raw.handle) else {
                // The end of one command's results; two ends in a row mean that libpq has nothing more.
                ends += 1
                if ends > 1 { break }
                continue
            }
            ends = 0
            let answer = Answer(result)
            if answer.status == PGRES_PIPELINE_SYNC {
                if case .again(let request) = complete() { again.append(request) }
            } else {
                keep(answer)
            }
        }
        guard PQstatus(raw.handle) == CONNECTION_OK else { return nil }
        return again
    }

    /// Fails everything sent: nobody can know what the server did with it.
    func abandon(_ reason: String) {
        while let lost = inFlight.popFirst() {
            lost.request.continuation.resume(throwing: SQLError.unknownOutcome(reason))
        }
    }

    var errorText: String { raw.errorText }

    /// The name under which the server knows the statement, preparing it first where needed; nil when too many are.
    private func preparedName(of statement: EncodedStatement) -> String? {
        if let name = prepared[statement.key] { return name }
        guard prepared.count < preparedLimit else { return nil }
        preparedCount += 1
        let name = "s\(preparedCount)"
        let sent = PQsendPrepare(
            raw.handle, name, statement.text, Int32(statement.types.count), statement.types)
        guard sent == 1 else { return nil }
        prepared[statement.key] = name
        inFlight[inFlight.endIndex - 1].awaitsPrepare = true
        return name
    }

    /// Of a statement's results the first error counts, else the last.
    private func keep(_ answer: Answer) {
        let head = inFlight.startIndex
        if inFlight[head].awaitsPrepare {
            inFlight[head].awaitsPrepare = false
            inFlight[head].prepareFailed = answer.isError
        }
        if let first = inFlight[head].answer, first.isError { return }
        inFlight[head].answer = answer
    }

    private func complete() -> Outcome {
        guard let done = inFlight.popFirst() else { return .done }
        let request = done.request
        // Looked at after the Sync: the server commits, and warns, only then.
        if raw.takeReplicationWarning() {
            request.continuation.resume(
                throwing: SQLError.unknownOutcome("the commit did not reach the standby"))
            return .done
        }
        guard let answer = done.answer else {
            request.continuation.resume(throwing: SQLError.unknownOutcome("the server answered nothing"))
            return .done
        }
        guard answer.isError else {
            request.continuation.resume(returning: answer)
            return .done
        }
        let isStale = answer.isStalePreparedStatement
        if done.prepareFailed || isStale { prepared[request.statement.key] = nil }
        if isStale, !request.isSecondAttempt {
            var second = request
            second.isSecondAttempt = true
            return .again(second)
        }
        request.continuation.resume(throwing: answer.error)
        return .done
    }
}

extension Answer {
    var isError: Bool { status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK }

    /// Whether the statement was not executed because its prepared form is gone or changed with the schema.
    var isStalePreparedStatement: Bool {
        let code = sqlState
        return code == "26000" || code == "0A000"
    }
}
