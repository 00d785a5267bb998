import CPq
import Glibc
import SQLDatabase

/// A connection whose user waits on his own thread: for transactions and for listening.
///
/// Deadlines hold although the thread waits: the socket is polled, and a late server is abandoned, never cancelled.
final class BlockingConnection: Sendable {
    private let raw: RawConnection
    private let prepared: PreparedNames

    /// @unchecked: used, like the connection, by one thread at a time.
    private final class PreparedNames: @unchecked Sendable {
        var names: [String: String] = [:]
        var count = 0
    }

    /// The connection broke or the server was too late; what it had been sent may or may not have happened.
    struct Lost: Error {
        let reason: String
    }

    init(_ raw: RawConnection) throws {
        guard PQsetnonblocking(raw.handle, 1) == 0 else { throw SQLError.unavailable(raw.errorText) }
        self.raw = raw
        prepared = PreparedNames()
    }

    var socket: Int32 { raw.socket }

    /// Whether it may serve another transaction.
    var isReusable: Bool {
        PQstatus(raw.handle) == CONNECTION_OK && PQtransactionStatus(raw.handle) == PQTRANS_IDLE
    }

    /// Whether a commit since the last look stopped waiting for its standby.
    func takeReplicationWarning() -> Bool { raw.takeReplicationWarning() }

    /// Runs one statement; throws `SQLError` when the server refuses it and `Lost` when it does not answer.
    func run(_ statement: EncodedStatement, deadline: ContinuousClock.Instant, preparedLimit: Int) throws
        -> Answer
    {
        let name = try preparedName(of: statement, deadline: deadline, limit: preparedLimit)
        let sent = statement.withParameters { count, values, lengths, formats in
            guard let name else {
                return PQsendQueryParams(
                    raw.handle, statement.text, count, statement.types, values, lengths, formats, 1)
            }
            return PQsendQueryPrepared(raw.handle, name, count, values, lengths, formats, 1)
        }
        let answer = try lastAnswer(sent, deadline)
        if answer.isError, answer.isStalePreparedStatement { prepared.names[statement.key] = nil }
        return try answer.orError()
    }

    /// Runs statements without binds, separated by semicolons.
    @discardableResult
    func runSimple(_ text: String, deadline: ContinuousClock.Instant) throws -> Answer {
        try lastAnswer(PQsendQuery(raw.handle, text), deadline).orError()
    }

    /// What was told on the channels listened to, after reading what has arrived.
    func notifications() throws -> [(channel: String, payload: String)] {
        guard PQconsumeInput(raw.handle) == 1 else { throw Lost(reason: raw.errorText) }
        var told: [(channel: String, payload: String)] = []
        while let notification = PQnotifies(raw.handle) {
            told.append(
                (String(cString: notification.pointee.relname), String(cString: notification.pointee.extra)))
            PQfreemem(notification)
        }
        return told
    }

    /// A name in the form SQL text takes it.
    func quoted(_ name: String) -> String {
        guard let text = PQescapeIdentifier(raw.handle, name, name.utf8.count) else { return "\"\"" }
        defer { PQfreemem(text) }
        return String(cString: text)
    }

    private func preparedName(
        of statement: EncodedStatement, deadline: ContinuousClock.Instant, limit: Int
    ) throws -> String? {
        if let name = prepared.names[statement.key] { return name }
        guard prepared.names.count < limit else { return nil }
        prepared.count += 1
        let name = "s\(prepared.count)"
        let sent = PQsendPrepare(
            raw.handle, name, statement.text, Int32(statement.types.count), statement.types)
        _ = try lastAnswer(sent, deadline).orError()
        prepared.names[statement.key] = name
        return name
    }

    /// Waits for the last result; the first error counts.
    private func lastAnswer(_ sent: Int32, _ deadline: ContinuousClock.Instant) throws -> Answer {
        guard sent == 1 else { throw Lost(reason: raw.errorText) }
        try flush(deadline)
        var kept: Answer?
        while true {
            while PQisBusy(raw.handle) == 1 {
                try wait(for: POLLIN, deadline)
                guard PQconsumeInput(raw.handle) == 1 else { throw Lost(reason: raw.errorText) }
            }
            guard let result = PQgetResult(raw.handle) else { break }
            let answer = Answer(result)
            if kept?.isError != true { kept = answer }
        }
        guard PQstatus(raw.handle) == CONNECTION_OK else { throw Lost(reason: raw.errorText) }
        guard let kept else { throw Lost(reason: "the server answered nothing") }
        return kept
    }

    private func flush(_ deadline: ContinuousClock.Instant) throws {
        while true {
            let rest = PQflush(raw.handle)
            if rest == 0 { return }
            guard rest == 1 else { throw Lost(reason: raw.errorText) }
            try wait(for: POLLOUT | POLLIN, deadline)
            guard PQconsumeInput(raw.handle) == 1 else { throw Lost(reason: raw.errorText) }
        }
    }

    private func wait(for events: Int32, _ deadline: ContinuousClock.Instant) throws {
        let left = (deadline - .now).components
        let milliseconds = left.seconds * 1_000 + left.attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0 else { throw Lost(reason: "no answer within the statement deadline") }
        var descriptor = pollfd(fd: raw.socket, events: Int16(events), revents: 0)
        _ = poll(&descriptor, 1, Int32(clamping: milliseconds))
    }
}

extension Answer {
    fileprivate func orError() throws -> Answer {
        if isError { throw error }
        return self
    }
}
