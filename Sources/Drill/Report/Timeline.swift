import Synthetic

/// The picture of a drill: a row for each session with a stroke for each acknowledgement in its server's colour, the
/// interruptions as bands, and below it how long messages waited.
struct Timeline {
    private static let left = 150.0
    private static let width = 1_000.0
    private static let top = 34.0
    private static let rowHeight = 20.0
    private static let waitHeight = 70.0
    private static let colours = 6
    /// At most, of the picture's letters.
    private static let letterWidth = 6.5
    /// More rows than these make no picture: the busiest first ones stand for all.
    private static let rowLimit = 40

    private let report: DrillReport
    private let record: DrillRecord
    private let servers: [String]
    private let rows: [Int]
    private let seconds: Double

    init(_ report: DrillReport) {
        self.report = report
        record = report.record
        servers = report.coverage.servers.map(\.address)
        seconds = max(1, record.length / .seconds(1))
        // Sessions of one web address stand together.
        let paths = report.record.paths
        rows = Array(
            paths.indices.sorted { (paths[$0].web, $0) < (paths[$1].web, $1) }.prefix(Self.rowLimit))
    }

    var html: HTML {
        """
        <svg viewBox="0 0 1000 \(Int(height))" role="img" aria-label="Acknowledgements of each session over time">
        \(bands)\(grid)\(rows.indices.map(row))\(actions)\(badges)\(waits)
        </svg>
        \(legend)
        """
    }

    private var rowsEnd: Double { Self.top + Double(rows.count) * Self.rowHeight }
    private var waitsTop: Double { rowsEnd + 26 }
    private var waitsEnd: Double { waitsTop + Self.waitHeight }
    private var height: Double { waitsEnd + 24 }

    private func x(_ time: Duration) -> Double {
        let share = min(max(time / .seconds(1) / seconds, 0), 1)
        return Self.left + share * (Self.width - Self.left - 10)
    }

    private func n(_ value: Double) -> String { decimal(value, 1) }

    private var grid: HTML {
        let steps: [Double] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400]
        let step = steps.first { seconds / $0 <= 12 } ?? 28_800
        let lines: [HTML] = stride(from: 0, through: seconds, by: step).map { time in
            let x = x(.seconds(time))
            return """
                <line class="grid" x1="\(n(x))" y1="\(n(Self.top - 4))" x2="\(n(x))" y2="\(n(waitsEnd))"/>\
                <text x="\(n(x))" y="\(n(waitsEnd + 15))" text-anchor="middle">\(decimal(time, 0)) s</text>
                """
        }
        return "\(lines)"
    }

    private func row(_ index: Int) -> HTML {
        let path = rows[index]
        let y = Self.top + (Double(index) + 0.5) * Self.rowHeight
        let isFirst = index == 0 || record.paths[rows[index - 1]].web != record.paths[path].web
        let web = isFirst ? String(record.webs[record.paths[path].web].drop { $0 != "/" }.dropFirst(2)) : ""
        let gaps: [HTML] = silences[path, default: []].map { silence in
            let end = silence.ended ?? record.length
            return """
                <line class="gap" x1="\(n(x(silence.began)))" y1="\(n(y))" x2="\(n(x(end)))" y2="\(n(y))"/>
                """
        }
        let joins: [HTML] = record.reconnects.filter { $0.path == path }.prefix(200).map { moment in
            "<circle class=\"join\" cx=\"\(n(x(moment.at)))\" cy=\"\(n(y))\" r=\"3.5\"/>"
        }
        return """
            <text class="name" x="0" y="\(n(y + 4))">\(Self.short(web, 16))</text>\
            <text x="\(n(Self.left - 8))" y="\(n(y + 4))" text-anchor="end">\(Self.short(record.paths[path].login, 9))</text>\
            <line class="row" x1="\(n(Self.left))" y1="\(n(y))" x2="\(n(Self.width - 10))" y2="\(n(y))"/>\
            \(strokes(of: path, at: y))\(gaps)\(joins)
            """
    }

    /// One stroke for each tenth of a unit in which something was acknowledged, one element for each server.
    private func strokes(of path: Int, at y: Double) -> [HTML] {
        var columns: [Int: [Int: Bool]] = [:]
        for message in record.messages where message.path == path {
            guard let answer = message.answer else { continue }
            let server = answer.route.flatMap { servers.firstIndex(of: $0.server) } ?? 0
            columns[server, default: [:]][Int(x(answer.at) * 2)] = true
        }
        return columns.sorted { $0.key < $1.key }.map { server, places in
            let (from, length) = Self.stroke(of: server)
            let strokes = places.keys.sorted().map { "M\(n(Double($0) / 2)) \(n(y - 6 + from))v\(n(length))" }
                .joined()
            return "<path class=\"s\(server % Self.colours)\" d=\"\(strokes)\"/>"
        }
    }

    /// Where in a row, and how long: so that servers differ without colours, too.
    private static func stroke(of server: Int) -> (from: Double, length: Double) {
        switch server % 3 {
        case 0: (0, 12)
        case 1: (6, 6)
        default: (0, 6)
        }
    }

    private var silences: [Int: [Silence]] {
        Dictionary(
            grouping: InterruptionFinder.silences(in: record, longerThan: report.threshold), by: \.path)
    }

    private func end(_ interruption: Interruption) -> Duration { interruption.ended ?? record.length }

    private var bands: [HTML] {
        report.parts.map { part in
            let (from, to) = (x(part.interruption.began), x(end(part.interruption)))
            return """
                <rect class="band" x="\(n(from - 1))" y="\(n(Self.top - 4))" width="\(n(max(3, to - from + 2)))" \
                height="\(n(waitsEnd - Self.top + 4))" rx="2"/>
                """
        }
    }

    private var badges: [HTML] {
        var last = -100.0
        return report.parts.enumerated().compactMap { index, part in
            let x = (x(part.interruption.began) + x(end(part.interruption))) / 2
            guard x - last >= 18 else { return nil }
            last = x
            return """
                <rect class="badge" x="\(n(x - 9))" y="\(n(Self.top - 23))" width="18" height="15" rx="7.5"/>\
                <text class="badgetext" x="\(n(x))" y="\(n(Self.top - 12))" text-anchor="middle">\(index + 1)</text>
                """
        }
    }

    /// Each has its line; its words only where they do not run into those before them.
    private var actions: [HTML] {
        var free = 0.0
        return record.actions.prefix(50).map { action in
            let x = x(action.at)
            var words: HTML = ""
            if x >= free {
                words = "<text class=\"acttext\" x=\"\(n(x + 3))\" y=\"9\">\(action.text)</text>"
                free = x + 10 + Double(action.text.count) * Self.letterWidth
            }
            return """
                <line class="act" x1="\(n(x))" y1="12" x2="\(n(x))" y2="\(n(rowsEnd))">\
                <title>\(action.text)</title></line>\(words)
                """
        }
    }

    /// The longest wait of the messages sent in each unit of the picture.
    private var waits: HTML {
        var longest: [Int: Duration] = [:]
        for message in record.messages where message.refusal == nil {
            let wait = (message.answer?.at ?? record.length) - message.sentAt
            let column = Int(x(message.sentAt))
            longest[column] = max(longest[column] ?? .zero, wait)
        }
        let top = max(longest.values.max() ?? .zero, .milliseconds(100)) * 1.1
        func y(_ wait: Duration) -> Double { waitsEnd - wait / top * Self.waitHeight }
        let bars = longest.sorted { $0.key < $1.key }.map { column, wait in
            "M\(column) \(n(waitsEnd))V\(n(min(y(wait), waitsEnd - 0.5)))h2V\(n(waitsEnd))z"
        }
        let bound = record.plan.longestGap
        let limit: HTML =
            bound < top
            ? """
            <line class="limit" x1="\(n(Self.left))" y1="\(n(y(bound)))" x2="\(n(Self.width - 10))" \
            y2="\(n(y(bound)))"/>
            """ : ""
        return """
            <text class="name" x="0" y="\(n(waitsTop + 12))">Wait for the</text>\
            <text class="name" x="0" y="\(n(waitsTop + 27))">acknowledgement</text>\
            <text x="\(n(Self.left - 8))" y="\(n(waitsTop + 8))" text-anchor="end">\(top.rounded(2)) s</text>\
            <text x="\(n(Self.left - 8))" y="\(n(waitsEnd))" text-anchor="end">0</text>\
            <line class="row" x1="\(n(Self.left))" y1="\(n(waitsEnd))" x2="\(n(Self.width - 10))" y2="\(n(waitsEnd))"/>\
            <path class="bar" d="\(bars.joined())"/>\(limit)
            """
    }

    private var legend: HTML {
        let items: [HTML] = servers.enumerated().map { index, server in
            let (from, length) = Self.stroke(of: index)
            let strokes = [4, 9, 14, 19].map { "M\($0) \(n(from))v\(n(length))" }.joined()
            return """
                <span><svg viewBox="0 0 22 12"><path class="s\(index % Self.colours)" stroke-width="2" \
                d="\(strokes)"/></svg>acknowledged by \(server)</span>
                """
        }
        let hidden = record.paths.count - rows.count
        let more = hidden > 0 ? " The picture shows \(rows.count) of \(record.paths.count) sessions." : ""
        return """
            <p class="legend">\(items)<span><svg viewBox="0 0 22 12"><line class="gap" x1="3" y1="6" x2="19" \
            y2="6"/></svg>a message waits</span><span><svg viewBox="0 0 22 12"><circle class="join" cx="11" cy="6" \
            r="3.5"/></svg>connected again</span><span><svg viewBox="0 0 22 12"><line class="act" x1="11" y1="0" \
            x2="11" y2="12"/></svg>done by the drill itself</span><span>\(more)</span></p>
            """
    }

    private static func short(_ text: String, _ limit: Int) -> String {
        text.count <= limit ? text : text.prefix(limit - 1) + "…"
    }
}
