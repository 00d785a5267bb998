import Domain
import Foundation

/// A history as a file that can be kept and checked again: one JSON object a line, one line an operation.
///
/// Times are nanoseconds since the first; `type` is `ok`, `fail` or `info` (nobody knows).
struct HistoryFile {
    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    /// What was done: each kind of the file's lines.
    enum Function: String, Codable {
        case send, live, read, final, resume
        case markRead = "mark_read"
        case grant, accept, mail, limit
    }

    struct Operation: Codable {
        struct Line: Codable {
            var p: Int64
            var n: Int64
            var id: String?
            var m: Bool
            var t: Int64?
        }

        var f: Function
        /// Who: a person, or a server.
        var proc: String
        var id: String?
        var thread: String?
        var invokedNanoseconds: Int64?
        var doneNanoseconds: Int64?
        var type: String = "ok"
        var seq: Int64?
        var position: Int64?
        var source: String?
        var lines: [Line]?
        var user: String?
        var delivered: Int64?
        var slot: String?
        var token: String?

        enum CodingKeys: String, CodingKey {
            case f, proc, id, thread, type, seq, position, source, lines, user, delivered, slot, token
            case invokedNanoseconds = "t_invoke_ns"
            case doneNanoseconds = "t_done_ns"
        }
    }

    let text: String

    init(_ history: DeliveryHistory) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        text = try history.operations().map { operation in
            String(decoding: try encoder.encode(operation), as: UTF8.self) + "\n"
        }.joined()
    }

    init(text: String) { self.text = text }

    func history() throws -> DeliveryHistory {
        var history = DeliveryHistory()
        let origin = ContinuousClock.now
        for (index, line) in text.split(separator: "\n").enumerated() {
            do {
                let operation = try JSONDecoder().decode(Operation.self, from: Data(line.utf8))
                try history.take(operation, origin)
            } catch {
                throw Mistake(description: "Line \(index + 1) is no operation of a history: \(error)")
            }
        }
        return history
    }
}

// MARK: - Writing

extension DeliveryHistory {
    fileprivate func operations() -> [HistoryFile.Operation] {
        let times = sends.map(\.invoked) + reads.map(\.invoked) + streams.flatMap(\.arrivals)
        let origin = times.min() ?? .now
        func since(_ at: ContinuousClock.Instant) -> Int64 { Int64((at - origin) / .nanoseconds(1)) }
        func lines(_ lines: [Line], _ arrivals: [ContinuousClock.Instant] = []) -> [HistoryFile.Operation
            .Line]
        {
            lines.enumerated().map { index, line in
                .init(
                    p: line.position, n: line.number, id: line.id.map { "\($0)" }, m: line.isMessage,
                    t: index < arrivals.count ? since(arrivals[index]) : nil)
            }
        }
        var all: [HistoryFile.Operation] = sends.map { send in
            var operation = HistoryFile.Operation(
                f: .send, proc: send.author, id: "\(send.id)", thread: "\(send.thread)",
                invokedNanoseconds: since(send.invoked), doneNanoseconds: since(send.answered))
            switch send.outcome {
            case .acknowledged(let position, let number):
                (operation.position, operation.seq) = (position, number)
            case .refused: operation.type = "fail"
            case .unknown: operation.type = "info"
            }
            return operation
        }
        all += streams.map {
            .init(f: .live, proc: $0.reader, thread: "\($0.thread)", lines: lines($0.lines, $0.arrivals))
        }
        all += reads.map {
            .init(
                f: .read, proc: $0.reader, thread: "\($0.thread)", invokedNanoseconds: since($0.invoked),
                doneNanoseconds: since($0.answered), source: $0.source, lines: lines($0.lines))
        }
        all += views.map {
            .init(
                f: .final, proc: $0.reader, thread: "\($0.thread)", source: $0.source, lines: lines($0.lines))
        }
        all += marks.flatMap { stream in
            stream.receipts.map {
                .init(
                    f: .markRead, proc: stream.watcher, thread: "\(stream.thread)", seq: $0.read,
                    user: "\($0.user)", delivered: $0.delivered)
            }
        }
        return all + administration()
    }

    private func administration() -> [HistoryFile.Operation] {
        var all: [HistoryFile.Operation] = grants.map {
            .init(f: .grant, proc: $0.server, seq: $0.order, slot: $0.slot, token: $0.token)
        }
        all += acceptances.map {
            .init(
                f: .accept, proc: $0.server, seq: $0.order, position: $0.position, slot: $0.slot,
                token: $0.token)
        }
        all += mails.map {
            .init(f: .mail, proc: $0.recipient, id: $0.messageID, source: $0.openedBy, slot: $0.incident)
        }
        if let serverLimit { all.append(.init(f: .limit, proc: "licence", seq: Int64(serverLimit))) }
        return all
    }
}

// MARK: - Reading

extension DeliveryHistory {
    fileprivate mutating func take(
        _ operation: HistoryFile.Operation, _ origin: ContinuousClock.Instant
    ) throws {
        let thread = operation.thread.flatMap { MessageThread.ID($0) } ?? MessageThread.ID(rawValue: 0)
        func at(_ nanoseconds: Int64?) -> ContinuousClock.Instant { origin + .nanoseconds(nanoseconds ?? 0) }
        let lines = (operation.lines ?? []).map {
            Line(position: $0.p, number: $0.n, id: $0.id.flatMap { ClientID($0) }, isMessage: $0.m)
        }
        switch operation.f {
        case .send:
            guard let id = operation.id.flatMap({ ClientID($0) }) else {
                throw HistoryFile.Mistake(description: "a send needs its id")
            }
            sends.append(
                Send(
                    id: id, author: operation.proc, thread: thread, invoked: at(operation.invokedNanoseconds),
                    answered: at(operation.doneNanoseconds), outcome: try operation.outcome()))
        case .live:
            streams.append(
                Stream(
                    reader: operation.proc, thread: thread, lines: lines,
                    arrivals: (operation.lines ?? []).compactMap { $0.t.map { at($0) } }))
        case .read, .resume:
            reads.append(
                Read(
                    reader: operation.proc, source: operation.source ?? "", thread: thread,
                    invoked: at(operation.invokedNanoseconds), answered: at(operation.doneNanoseconds),
                    lines: lines))
        case .final:
            views.append(
                View(reader: operation.proc, source: operation.source ?? "", thread: thread, lines: lines))
        case .markRead: try note(operation, thread)
        case .grant:
            grants.append(
                Grant(
                    server: operation.proc, slot: operation.slot ?? "", token: operation.token,
                    order: operation.seq ?? 0))
        case .accept:
            acceptances.append(
                Acceptance(
                    server: operation.proc, slot: operation.slot ?? "", token: operation.token ?? "",
                    position: operation.position ?? 0, order: operation.seq ?? 0))
        case .mail:
            mails.append(
                Mail(
                    messageID: operation.id ?? "", incident: operation.slot ?? "", recipient: operation.proc,
                    openedBy: operation.source ?? ""))
        case .limit: serverLimit = operation.seq.map { Int($0) }
        }
    }

    private mutating func note(_ operation: HistoryFile.Operation, _ thread: MessageThread.ID) throws {
        guard let user = operation.user.flatMap({ User.ID($0) }) else {
            throw HistoryFile.Mistake(description: "a mark_read needs its user")
        }
        let receipt = Receipt(user: user, delivered: operation.delivered ?? 0, read: operation.seq ?? 0)
        if marks.last?.watcher == operation.proc, marks.last?.thread == thread {
            marks[marks.count - 1].receipts.append(receipt)
        } else {
            marks.append(MarkStream(watcher: operation.proc, thread: thread, receipts: [receipt]))
        }
    }
}

extension HistoryFile.Operation {
    fileprivate func outcome() throws -> DeliveryHistory.Outcome {
        switch type {
        case "ok": return .acknowledged(position: position ?? 0, number: seq ?? 0)
        case "fail": return .refused
        case "info": return .unknown
        default: throw HistoryFile.Mistake(description: "type is '\(type)'; expected ok, fail or info")
        }
    }
}
