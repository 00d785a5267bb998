import Domain
import Foundation
import Testing

@testable import SystemSupport

@Suite("Histories as files")
struct HistoryFileTests {
    private static let planted = """
        {"f":"send","proc":"ann","id":"00000000-0000-0001-0000-000000000001","thread":"7","t_invoke_ns":0,"t_done_ns":5,"type":"ok","position":11,"seq":1}
        {"f":"send","proc":"ann","id":"00000000-0000-0001-0000-000000000002","thread":"7","t_invoke_ns":6,"t_done_ns":9,"type":"ok","position":12,"seq":2}
        {"f":"send","proc":"ann","id":"00000000-0000-0001-0000-000000000003","thread":"7","t_invoke_ns":6,"t_done_ns":9,"type":"info"}
        {"f":"live","proc":"bob","thread":"7","type":"ok","lines":[{"p":11,"n":1,"id":"00000000-0000-0001-0000-000000000001","m":true,"t":7}]}
        {"f":"read","proc":"bob","source":"web-1","thread":"7","t_invoke_ns":10,"t_done_ns":12,"type":"ok","lines":[]}
        {"f":"final","proc":"bob","source":"web-1","thread":"7","type":"ok","lines":[{"p":11,"n":1,"id":"00000000-0000-0001-0000-000000000001","m":true}]}
        {"f":"mark_read","proc":"ann","thread":"7","type":"ok","user":"3","delivered":2,"seq":0}
        {"f":"grant","proc":"a","type":"ok","slot":"1","token":"t1","seq":1}
        {"f":"accept","proc":"b","type":"ok","slot":"1","token":"t1","position":11,"seq":2}
        {"f":"mail","proc":"ops@a","id":"<1>","type":"ok","slot":"1","source":"a"}
        {"f":"mail","proc":"ops@a","id":"<2>","type":"ok","slot":"1","source":"a"}
        {"f":"limit","proc":"licence","type":"ok","seq":2}
        """

    private static let expected: Set<BrokenPromise> = [
        .lost(ClientID(high: 1, low: 2), at: "bob at web-1"),
        .lost(ClientID(high: 1, low: 2), at: "bob live"),
        .stale(upTo: 2, at: "bob at web-1"), .marksBackward(User.ID(rawValue: 3), at: "ann live"),
        .servedWithoutRight(server: "b", position: 11), .mailedTwice(incident: "1", recipient: "ops@a"),
    ]

    @Test("a file says what was broken, and says the same after it was written again")
    func roundTrip() throws {
        let history = try HistoryFile(text: Self.planted).history()
        let again = try HistoryFile(text: HistoryFile(history).text).history()

        #expect(Set(history.brokenPromises()) == Self.expected)
        #expect(Set(again.brokenPromises()) == Self.expected)
        #expect(HistorySummary(again).absent == 1)
    }

    @Test("a line that is no operation is named")
    func mistake() {
        let error = #expect(throws: HistoryFile.Mistake.self) {
            try HistoryFile(text: Self.planted + "\n{\"f\":\"guess\"}").history()
        }
        #expect(error?.description.hasPrefix("Line 13") == true)
    }

    @Test("the history that ASM_HISTORY names, or a sound one, breaks no promise")
    func named() throws {
        let path = ProcessInfo.processInfo.environment["ASM_HISTORY"]
        let text = try path.map { try String(contentsOfFile: $0, encoding: .utf8) }
        let lines = Self.planted.split(separator: "\n")
        let sound = "\(lines[0])\n\(lines[5])"
        let history = try HistoryFile(text: text ?? sound).history()
        let broken = history.brokenPromises()

        #expect(broken.isEmpty, "\(path ?? ""): \(broken)\n\(HistorySummary(history))")
    }
}
