import ArgumentParser
import Domain
import Foundation

/// A JSON file with settings, in which objects group what belongs together: `{"web": {"port": 8080}}`.
struct SettingsFile {
    /// A value as it is written there.
    enum Value: Hashable {
        /// A text, or a number in its digits.
        case text(String)
        case bool(Bool)
        case list([String])
    }

    struct Entry {
        /// As it is written, with points between its parts.
        let key: String
        let value: Value
    }

    /// A larger one is no settings file.
    static let limitBytes = 1 << 20

    let path: String
    /// By the name of the option.
    private(set) var entries: [String: Entry] = [:]

    init(path: String) throws {
        self.path = path
        var bytes = try Self.read(path)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        let fault: (any Error)? = bytes.withUnsafeBufferPointer { bytes in
            var scanner = JSONScanner(bytes)
            do {
                try readObject(&scanner, under: [], bytes)
                try scanner.end()
                return nil
            } catch let fault as JSONFault {
                return ValidationError(Self.sentence(of: fault, in: bytes, path))
            } catch {
                return error
            }
        }
        if let fault { throw fault }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { handle.closeFile() }
            let bytes = Array(try handle.read(upToCount: limitBytes + 1) ?? Data())
            guard bytes.count <= limitBytes else {
                throw ValidationError("The settings file '\(path)' is longer than \(limitBytes) bytes.")
            }
            return bytes
        } catch let error as ValidationError {
            throw error
        } catch {
            let posix = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            let reason = posix.map { String(cString: strerror(Int32($0.code))) } ?? error.localizedDescription
            throw ValidationError("The settings file '\(path)' cannot be read: \(reason).")
        }
    }

    private static func sentence(of fault: JSONFault, in bytes: UnsafeBufferPointer<UInt8>, _ path: String)
        -> String
    {
        let before = bytes.prefix(fault.offset)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let column = String(decoding: before[lineStart...], as: UTF8.self).count + 1
        return """
            The settings file '\(path)' is not JSON at line \(line), column \(column): \(fault.problem). \
            It should look like this: {"web": {"port": 8080}}.
            """
    }

    private mutating func readObject(
        _ scanner: inout JSONScanner, under path: [String], _ bytes: UnsafeBufferPointer<UInt8>
    ) throws {
        var failure: (any Error)?
        try scanner.object { (key, scanner) throws(JSONFault) in
            do {
                try readValue(of: path + [key], &scanner, bytes)
            } catch let fault as JSONFault {
                throw fault
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    private mutating func readValue(
        of path: [String], _ scanner: inout JSONScanner, _ bytes: UnsafeBufferPointer<UInt8>
    ) throws {
        switch scanner.peek() {
        case UInt8(ascii: "{"): try readObject(&scanner, under: path, bytes)
        case UInt8(ascii: "["):
            var values: [String] = []
            var holdsOther = false
            try scanner.array { (scanner) throws(JSONFault) in
                if case .text(let text) = try Self.scalar(&scanner, bytes) {
                    values.append(text)
                } else {
                    holdsOther = true
                }
            }
            guard !holdsOther else {
                throw ValidationError(
                    "'\(path.joined(separator: "."))' in '\(self.path)' holds more than texts and numbers.")
            }
            try add(.list(values), at: path)
        default:
            if let value = try Self.scalar(&scanner, bytes) { try add(value, at: path) }
        }
    }

    /// Nil for `null`, and for what has parts.
    private static func scalar(
        _ scanner: inout JSONScanner, _ bytes: UnsafeBufferPointer<UInt8>
    ) throws(JSONFault) -> Value? {
        _ = scanner.peek()
        let start = scanner.offset
        switch try scanner.scalar() {
        case .string(let text): return .text(text)
        case .bool(let isOn): return .bool(isOn)
        case .null: return nil
        case .integer, .other:
            let written = String(decoding: bytes[start..<scanner.offset], as: UTF8.self)
            return written.first == "{" || written.first == "[" ? nil : .text(written)
        }
    }

    private mutating func add(_ value: Value, at path: [String]) throws {
        let entry = Entry(key: path.joined(separator: "."), value: value)
        let name = Setting.name(ofKey: path)
        if let other = entries.updateValue(entry, forKey: name) {
            throw ValidationError(
                other.key == entry.key
                    ? "'\(entry.key)' is twice in '\(self.path)'."
                    : "'\(other.key)' and '\(entry.key)' in '\(self.path)' are the same setting: keep one.")
        }
    }

    /// Refuses what is no setting, and in a server's own file what is another command's.
    func check(for command: ChosenCommand, _ settings: [Setting], root: any ParsableCommand.Type) throws {
        let own = Set(settings.flatMap(\.names))
        let strange = entries.filter { !own.contains($0.key) || $0.key == "config" }
        guard !strange.isEmpty else { return }
        let others = ChosenCommand.all(of: root).map { ($0.name, Setting.all(of: $0.type).flatMap(\.names)) }
        for (name, entry) in strange.sorted(by: { $0.value.key < $1.value.key }) {
            guard name != "config" else {
                throw ValidationError("'\(entry.key)' in '\(path)': a settings file cannot name another one.")
            }
            guard let other = others.first(where: { $0.1.contains(name) })?.0 else {
                let known = own.union(command.type is any ServerCommand.Type ? [] : others.flatMap(\.1))
                let near = nearest(to: name, among: known, within: max(2, name.count / 2))
                let advice =
                    near.map { "did you mean \(spelling(of: $0, like: entry.key))?" }
                    ?? "`\(command.name) --help` lists the settings."
                throw ValidationError("There is no setting '\(entry.key)' ('\(path)'): \(advice)")
            }
            if command.type is any ServerCommand.Type {
                throw ValidationError(
                    "'\(entry.key)' in '\(path)' is a setting of `\(other)`, not of `\(command.name)`.")
            }
        }
    }

    /// A name as somebody writes it who writes points or capitals.
    private func spelling(of name: String, like key: String) -> String {
        if key.contains("-") { return name }
        if key.contains("."), let dash = name.firstIndex(of: "-") {
            return name[..<dash] + "." + camelCase(name[name.index(after: dash)...])
        }
        return camelCase(name[...])
    }

    private func camelCase(_ name: Substring) -> String {
        let words = name.split(separator: "-")
        return words.prefix(1).joined() + words.dropFirst().map(\.capitalized).joined()
    }
}

/// The candidate that fewest slips of typing away is meant, if any is near enough.
func nearest(to name: String, among candidates: some Sequence<String>, within limit: Int) -> String? {
    candidates.map { ($0, slips(name, $0)) }.filter { $0.1 <= limit }
        .min { ($0.1, $0.0) < ($1.1, $1.0) }?.0
}

/// How many letters must be added, left out, changed or swapped with their neighbour.
private func slips(_ first: String, _ second: String) -> Int {
    let first = Array(first.unicodeScalars)
    let second = Array(second.unicodeScalars)
    var rows = [Array(0...second.count)]
    for (row, letter) in first.enumerated() {
        var next = [row + 1]
        for (column, other) in second.enumerated() {
            var least = min(
                rows[row][column] + (letter == other ? 0 : 1), rows[row][column + 1] + 1, next[column] + 1)
            if row > 0, column > 0, letter == second[column - 1], first[row - 1] == other {
                least = min(least, rows[row - 1][column - 1] + 1)
            }
            next.append(least)
        }
        rows.append(next)
    }
    return rows[first.count][second.count]
}
