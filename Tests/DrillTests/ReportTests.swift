import Domain
import Foundation
import Testing

@testable import Drill

@Suite("The reports of a drill")
struct ReportTests {
    private static let hostile = #"<script>alert("x")</script>&'"# + "\u{1B}"

    private static func report() -> DrillReport {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0, 1])])
        record.actions.append(.init(at: .seconds(7), text: "killed process 4711"))
        record.reconnects.append(.init(path: 0, at: .milliseconds(7_900), what: 1))
        record.notes.append("A note.")
        return DrillReport(record)
    }

    @Test("JSON has the documented keys, and no others")
    func keys() throws {
        let json = try Self.report().json()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        let part = try #require((object["interruptions"] as? [[String: Any]])?.first)

        let keys = [
            "ackMilliseconds", "acknowledged", "actions", "deliveryMilliseconds", "doubled", "faults",
            "interruptions", "longestGapSeconds", "lost", "maxGapSeconds", "missedLive", "notes", "ok",
            "paths",
            "rate", "reconnects", "refused", "reordered", "seconds", "sent", "servers", "spacingSeconds",
            "startedAt", "takeovers", "thresholdSeconds", "unanswered", "webs",
        ]
        let partKeys = [
            "acknowledged", "acknowledgedOnOtherPaths", "actions", "beganAfterSeconds", "beganAt", "cause",
            "doubled", "endedAfterSeconds", "gapSeconds", "isOver", "lost", "pathsInterrupted", "reconnects",
            "reordered", "sent", "servers", "webs",
        ]
        #expect(object.keys.sorted() == keys)
        #expect(part.keys.sorted() == partKeys)
        #expect(object["ok"] as? Bool == true)
        #expect(part["beganAfterSeconds"] as? Double == 7)
        #expect(part["beganAt"] as? Int64 == 1_795_528_807_000)
        #expect((part["gapSeconds"] as? [String: Double])?["max"] == 1)
        let documented = try String(contentsOfFile: "docs/drill.md", encoding: .utf8)
        for key in keys + partKeys { #expect(documented.contains("`\(key)`"), "docs/drill.md lacks \(key)") }
    }

    @Test("JSON and the page say of a drill that was stopped when, and that it is no pass")
    func stopped() throws {
        var record = RecordMaker.record()
        record.stoppedAfter = .seconds(7)
        let report = DrillReport(record)

        let json = try report.json()
        let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])

        #expect(object["ok"] as? Bool == false)
        #expect(object["stoppedAfterSeconds"] as? Double == 7)
        #expect(report.html.contains(">STOPPED<"))
        #expect(report.html.contains("<title>Failover drill: Stopped"))
        let documented = try String(contentsOfFile: "docs/drill.md", encoding: .utf8)
        #expect(documented.contains("`stoppedAfterSeconds`"))
    }

    @Test("everything that comes from elsewhere is escaped in the page")
    func escapes() {
        var record = RecordMaker.record(outages: [(from: 7, to: 8, paths: [0])])
        record.webs[0] = "http://" + Self.hostile
        record.servers.append(Self.hostile)
        record.paths[0] = .init(login: "<i>", web: 0)
        record.notes.append(Self.hostile)
        record.actions.append(.init(at: .seconds(7), text: Self.hostile))
        record.unreadWebs[0] = Self.hostile

        let html = DrillReport(record).html

        #expect(!html.contains("<script"))
        #expect(!html.contains("<i>"))
        #expect(!html.contains("\u{1B}"))
        #expect(html.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;&#39;"))
        #expect(HTML.escaped("a<b>&\"'\u{0}") == "a&lt;b&gt;&amp;&quot;&#39;\u{FFFD}")
    }

    @Test("the page needs nothing from elsewhere, and is well-formed")
    func selfContained() throws {
        let html = Self.report().html

        for forbidden in ["<script", "src=", "url(", "@import", "<link", "href="] {
            #expect(!html.contains(forbidden), "\(forbidden)")
        }
        let body = html.drop { $0 != "\n" }.replacingOccurrences(of: "&shy;", with: "")
            .replacingOccurrences(of: "<br>", with: "")
            .replacing(#/<meta [^>]*>/#, with: "")
        let parser = XMLCheck()
        #expect(parser.problem(in: String(body)) == nil)
    }

    @Test("the picture has a row for each session, a band for the interruption, and its number")
    func picture() {
        let html = Timeline(Self.report()).html.text

        #expect(html.components(separatedBy: "class=\"row\"").count == 4 + 1 + 1)
        #expect(html.components(separatedBy: "class=\"band\"").count == 1 + 1)
        #expect(html.components(separatedBy: "class=\"badge\"").count == 1 + 1)
        #expect(html.components(separatedBy: "class=\"gap\"").count == 2 + 1 + 1)
        #expect(html.contains("killed process 4711"))
    }

    @Test("the time of day is UTC to the millisecond")
    func clock() {
        #expect(WallClock.text(1_795_528_807_004) == "2026-11-24 14:00:07.004")
    }
}

/// Looks whether elements are closed in their order and attributes quoted.
private struct XMLCheck {
    func problem(in text: String) -> String? {
        var open: [Substring] = []
        for match in text.matches(of: #/<(\/?)([a-z0-9]+)((?: [a-zA-Z0-9-]+="[^"<>]*")*)(\/?)>/#) {
            let (_, closing, name, _, empty) = match.output
            if !closing.isEmpty {
                guard let last = open.popLast(), last == name else {
                    return "</\(name)> closes \(open.last ?? "nothing")"
                }
            } else if empty.isEmpty {
                open.append(name)
            }
        }
        let tags = text.count { $0 == "<" }
        let read = text.matches(of: #/<(\/?)([a-z0-9]+)((?: [a-zA-Z0-9-]+="[^"<>]*")*)(\/?)>/#).count
        guard tags == read else { return "\(tags - read) of \(tags) tags cannot be read" }
        return open.isEmpty ? nil : "\(open) is not closed"
    }
}
