import AsyncHTTPClient
import Domain
import Foundation
import NIOCore
import NIOHTTP1

@testable import SystemSupport

/// What the history of a row says: which promises were broken, and how often which.
struct Verdict: Sendable {
    var broken: [BrokenPromise] = []
    /// From each acknowledgement until the last of those connected had the message live.
    var visible: [Duration] = []

    /// How long what was acknowledged may take to be seen by everybody.
    private static let patience = Duration.seconds(20)

    /// Messages, each counted once wherever it is missing.
    var lost: Int { Set(broken.compactMap { if case .lost(let id, _) = $0 { id } else { nil } }).count }
    var doubled: Int { Set(broken.compactMap { if case .doubled(let id, _) = $0 { id } else { nil } }).count }
    /// Places and people where that was seen.
    var reordered: Int {
        broken.count {
            switch $0 {
            case .reordered, .overtaken, .misplaced: true
            default: false
            }
        }
    }
    /// Everything else: phantoms, gaps, disagreements, marks that went back.
    var others: Int {
        broken.count {
            switch $0 {
            case .lost, .doubled, .reordered, .overtaken, .misplaced: false
            default: true
            }
        }
    }

    /// Waits until everybody has seen what the others sent, reads all threads as everybody from every web, and checks.
    /// - Parameter live: whether what people saw live is looked at, too.
    static func of(_ talks: [Talk], _ record: Record, at webs: [Web], live: Bool = true) async throws
        -> Verdict
    {
        var history = record.current
        let deadline = ContinuousClock.now + patience
        let sends = Dictionary(grouping: history.sends, by: \.thread)
        for talk in talks {
            for person in talk.people {
                let expected = Set(
                    (sends[talk.thread] ?? []).filter { send in
                        guard case .acknowledged = send.outcome else { return false }
                        return send.author != person.name
                    }.map(\.id))
                // What does not come in time is found below, as lost.
                _ = try? await person.state.until("everything should be seen", within: deadline - .now) {
                    state in
                    expected.isSubset(of: Set(state.seen.compactMap(\.clientID))) ? true : nil
                }
                guard live else { continue }
                let state = person.state.value
                let seen = zip(state.seen, state.seenAt).filter { $0.0.thread == talk.thread }
                history.streams.append(
                    .init(
                        reader: person.name, thread: talk.thread, lines: seen.map { .init($0.0) },
                        arrivals: seen.map(\.1)))
                history.marks.append(
                    .init(
                        watcher: person.name, thread: talk.thread,
                        receipts: state.marks.filter { $0.thread == talk.thread }.map(\.receipt)))
            }
            for web in webs {
                for person in talk.people {
                    history.views.append(
                        .init(
                            reader: person.name, source: "\(web)", thread: talk.thread,
                            lines: try await web.lines(of: talk.thread, as: person.login)))
                }
            }
        }
        return Verdict(
            broken: history.brokenPromises(), visible: HistorySummary(history).latencies)
    }
}

extension Web {
    /// The whole history of a thread; read faster than `history`, for tens of thousands of lines.
    func lines(of thread: MessageThread.ID, as login: Login) async throws -> [DeliveryHistory.Line] {
        var lines: [DeliveryHistory.Line] = []
        while true {
            var request = HTTPClientRequest(
                url: "\(self)/v1/threads/\(thread)/entries?after=\(lines.last?.number ?? 0)&limit=500")
            request.headers.add(name: "Authorization", value: "Bearer \(login.token.open)")
            let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
            let body = try await response.body.collect(upTo: 64 << 20)
            let page = try JSONSerialization.jsonObject(with: Data(body.readableBytesView)) as? [String: Any]
            guard response.status == .ok, let entries = page?["entries"] as? [[String: Any]] else {
                throw Failure(description: "\(thread) was answered \(response.status) by \(self)")
            }
            lines += entries.map { entry in
                DeliveryHistory.Line(
                    position: (entry["position"] as? NSNumber)?.int64Value ?? 0,
                    number: (entry["number"] as? NSNumber)?.int64Value ?? 0,
                    id: (entry["clientId"] as? String).flatMap { ClientID($0) },
                    isMessage: entry["kind"] as? String == "message")
            }
            guard page?["more"] as? Bool == true, !entries.isEmpty else { return lines }
        }
    }
}
