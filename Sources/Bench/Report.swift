import Domain
import Synthetic

/// The figures of a run, for people and for programs.
package struct BenchReport: Sendable {
    package enum Value: Sendable, Hashable {
        case count(Int)
        /// With so many digits after the point.
        case number(Double, digits: Int)
        case text(String)
        case group([Line])
    }

    package struct Line: Sendable, Hashable {
        /// The key in JSON.
        package let key: String
        /// What people read.
        package let title: String
        package let value: Value

        package init(_ key: String, _ title: String, _ value: Value) {
            self.key = key
            self.title = title
            self.value = value
        }
    }

    package let lines: [Line]
    /// What must not be: the run counts as failed when there is anything.
    package let faults: [String]

    /// One JSON object.
    package var json: String {
        var bytes: [UInt8] = []
        Self.write(lines + [Line("ok", "ok", .count(faults.isEmpty ? 1 : 0))], into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A table to read.
    package var text: String {
        (Self.table(lines, indent: "") + faults.map { "FAULT: \($0)" }).joined(separator: "\n")
    }

    private static func table(_ lines: [Line], indent: String) -> [String] {
        lines.flatMap { line -> [String] in
            let title = indent + line.title
            let padded = title + String(repeating: " ", count: max(1, 44 - title.count))
            return switch line.value {
            case .count(let count): [padded + String(count)]
            case .number(let number, let digits): [padded + decimal(number, digits)]
            case .text(let text): [padded + text]
            case .group(let lines): [title] + table(lines, indent: indent + "  ")
            }
        }
    }

    private static func write(_ lines: [Line], into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        for (index, line) in lines.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONWriter.string(line.key, into: &bytes)
            bytes.append(UInt8(ascii: ":"))
            switch line.value {
            case .count(let count): JSONWriter.integer(Int64(count), into: &bytes)
            case .number(let number, let digits): bytes += decimal(number, digits).utf8
            case .text(let text): JSONWriter.string(text, into: &bytes)
            case .group(let lines): write(lines, into: &bytes)
            }
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// p50, p99, p99.9 and the largest of times in nanoseconds, as milliseconds.
    static func latencies(_ key: String, _ title: String, _ times: Histogram) -> Line {
        func line(_ key: String, _ nanoseconds: UInt64) -> Line {
            Line(key, "\(key) (ms)", .number(Double(nanoseconds) / 1e6, digits: 3))
        }
        return Line(
            key, title,
            .group([
                line("p50", times.quantile(0.5)), line("p99", times.quantile(0.99)),
                line("p999", times.quantile(0.999)), line("max", times.largest),
            ]))
    }
}
