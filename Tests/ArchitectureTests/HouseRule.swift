import Testing

/// One rule of the house: where it holds, what it looks for, and examples that prove that it sees.
struct HouseRule: Sendable, CustomTestStringConvertible {
    struct Example: Sendable {
        let path: String
        let text: String

        init(_ text: String, in path: String = "Sources/Store/Sample.swift") {
            self.path = path
            self.text = text
        }
    }

    let name: String
    /// What to do instead; stands in every finding.
    let advice: String
    let holds: @Sendable (SourceFile) -> Bool
    /// The lines, from 1, on which a file breaks the rule.
    let brokenLines: @Sendable (SourceFile) -> [Int]
    /// Each breaks the rule.
    let violations: [Example]
    /// Each keeps it, though it looks alike.
    let lawful: [Example]

    var testDescription: String { name }

    func findings(in file: SourceFile) -> [Finding] {
        guard holds(file) else { return [] }
        return brokenLines(file).map { Finding(path: file.path, line: $0, advice: advice) }
    }
}

extension HouseRule {
    /// A rule that forbids a pattern in code, outside comments and strings.
    init(
        _ name: String, forbids pattern: @escaping @Sendable (Substring) -> Bool, advice: String,
        holds: @escaping @Sendable (SourceFile) -> Bool = { $0.isSwift && !$0.isGenerated },
        violations: [Example], lawful: [Example]
    ) {
        self.init(
            name: name, advice: advice, holds: holds,
            brokenLines: { file in
                file.code.enumerated().filter { pattern($0.element) }.map { $0.offset + 1 }
            },
            violations: violations, lawful: lawful)
    }
}

extension Substring {
    /// Whether the text occurs as a word of its own: no letter, digit, `_` or `.` touches it.
    ///
    /// Where the text begins or ends with a sign, nothing is asked of its neighbour there.
    func holdsWord(_ word: String) -> Bool { !places(ofWord: word).isEmpty }

    /// Where the word begins, each time that it occurs.
    func places(ofWord word: String) -> [Index] {
        guard let head = word.first, let tail = word.last else { return [] }
        var places: [Index] = []
        var rest = self
        while let place = rest.firstRange(of: word) {
            let before = place.lowerBound > startIndex ? self[index(before: place.lowerBound)] : " "
            let after = place.upperBound < endIndex ? self[place.upperBound] : " "
            let isFree = !head.isWordLike || !(before.isWordLike || before == ".")
            if isFree, !tail.isWordLike || !after.isWordLike { places.append(place.lowerBound) }
            rest = self[index(after: place.lowerBound)...]
        }
        return places
    }

    private func firstRange(of text: String) -> Range<Index>? {
        var start = startIndex
        let bytes = utf8
        guard let first = text.utf8.first else { return nil }
        while let place = bytes[start...].firstIndex(of: first) {
            if self[place...].utf8.starts(with: text.utf8) {
                return place..<bytes.index(place, offsetBy: text.utf8.count)
            }
            start = bytes.index(after: place)
        }
        return nil
    }
}

extension Character {
    /// Whether it can be part of a name.
    var isWordLike: Bool { isLetter || isNumber || self == "_" }
}
