import Foundation

extension HouseRule {
    /// Numbers that another process sent are looked at in one place, `LinkRange`, before anything is reckoned with them.
    static let link: [HouseRule] = [
        HouseRule(
            "No absolute value that traps",
            forbids: { $0.holdsWord("abs(") || $0.contains(".abs(") },
            advice:
                "`abs` ends the process at the lowest number there is: compare with both bounds, or use `magnitude`.",
            holds: { $0.isSwift && $0.isSource && !$0.isGenerated },
            violations: [
                .init("guard abs(report.notAfter) < 1 << 40 else { return }"), .init("let x = Swift.abs(y)"),
            ],
            lawful: [
                .init("let size = difference.magnitude"), .init("// never abs(x)"), .init("tabs(3)"),
                .init("abs(x)", in: "Tests/DomainTests/Sample.swift"),
            ]),
        HouseRule(
            name: "No reckoning with raw numbers of the link",
            advice: """
                This number comes from another process, and an overflow, a conversion or an index would end this one: \
                let LinkRange bound it, and use Int(clamping:), page(atMost:) or a value of Domain.
                """,
            holds: {
                $0.isSwift && !$0.isGenerated
                    && $0.isIn("ServiceLink", "ASMService", "WebService", "AdminWeb", "NotificationService")
            },
            brokenLines: { LinkArithmetic.brokenLines(of: $0) },
            violations: [
                "func f(_ wish: LinkGetMessage) -> Int64 { wish.number - 1 }",
                "switch body {\ncase .getMessage(let wish): g(1 + wish.number)\ndefault: break\n}",
                "func f(_ wish: LinkGetInbox) {\n    let limit = min(Int(wish.limit), 5)\n}",
                "func f(_ entry: LinkEntry) { g(entries[entry.position]) }",
                "func f(_ entry: LinkEntry) { for x in 0..<entry.number { g(x) } }",
                "func f(_ refused: LinkRefused) { wait(.milliseconds(refused.retryAfterMilliseconds)) }",
                "extension LinkEntry {\n    var next: Int64 { position + 1 }\n}",
                "extension LinkEntry {\n    var next: Int64 { self.position + 1 }\n}",
                "var page = LinkLogPage()\npage.position += 1",
                "func f(_ items: [LinkDelivery.Item]) { g(items.map { $0.entry.position * 2 }) }",
            ].map { .init($0, in: "Sources/ASMService/Sample.swift") },
            lawful: [
                "func f(_ wish: LinkGetMessage) -> Bool { wish.number > 0 && wish.thread == 1 }",
                "func f(_ wish: LinkGetInbox) { g(limit: wish.limit.page(atMost: 5), Int(clamping: wish.limit)) }",
                "func f(_ entry: LinkEntry) -> Int64 { sessions[entry.thread.key] ?? 0 }",
                "extension LinkEntry {\n    func f() { g(position, in: 0...9) }\n}",
                "let position = entry.position + 1", "func f(_ x: LinkConnection) { g(x.id + 1) }",
                "func f(_ e: LinkEntry) -> [Int64] { [e.position, e.number] }",
                "extension LinkEntry {\n    init(_ x: Int64) {\n        self.init()\n        position = x\n    }\n}",
            ].map { .init($0, in: "Sources/ASMService/Sample.swift") }),
    ]
}

/// Finds arithmetic, conversions that trap, ranges and indices on number fields of link messages.
private enum LinkArithmetic {
    /// What link.proto says: its messages, the kinds of its frames, requests and answers, and its number fields.
    private struct Contract {
        var types: Set<String> = []
        var kinds: Set<String> = []
        var numbers: Set<String> = []

        init() {
            let file = SourceTree.rootFolder.appendingPathComponent("Sources/ServiceLink/Contract/link.proto")
            // A contract that cannot be read makes the rule's own examples fail.
            for line in ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n") {
                for match in line.matches(of: /message (\w+) \{/) { types.insert("Link" + match.1) }
                for match in line.matches(of: /(repeated )?(\w+) (\w+) = \d+;/) {
                    let name = Self.camelCase(match.3)
                    if match.1 == nil,
                        ["int32", "int64", "uint32", "uint64", "fixed32", "fixed64"].contains(match.2)
                    {
                        numbers.insert(name)
                    } else if match.2.first?.isUppercase == true {
                        kinds.insert(name)
                    }
                }
            }
        }

        private static func camelCase(_ name: Substring) -> String {
            let words = name.split(separator: "_")
            return words.dropFirst().reduce(String(words.first ?? "")) { text, word in
                text + (word == "id" ? "ID" : word.prefix(1).uppercased() + word.dropFirst())
            }
        }
    }

    private static let contract = Contract()
    private static let conversions =
        ["Int", "Int8", "Int16", "Int32", "Int64", "UInt", "UInt8", "UInt16", "UInt32", "UInt64"].map {
            $0 + "("
        }
        + [".seconds(", ".milliseconds(", ".microseconds(", ".nanoseconds("]
    private static let operators = ["+", "-", "*", "/", "%", "<<", ">>", "..<", "..."]

    static func brokenLines(of file: SourceFile) -> [Int] {
        let names = linkNames(in: file)
        var extended = false
        return file.code.indices.filter { index in
            let line = file.code[index]
            if let match = line.firstMatch(of: /^(?:\w+ )?extension (\w+)/) {
                extended = contract.types.contains(String(match.1))
            } else if line.first == "}" {
                extended = false
            }
            return line.matches(of: /[\w$][\w.$]*/).contains { match in
                isRaw(match.0, names: names, extended: extended)
                    && isReckonedWith(line[..<match.range.lowerBound], line[match.range.upperBound...])
            }
        }.map { $0 + 1 }
    }

    /// Whether a path of names is a number field of a link message.
    private static func isRaw(_ path: Substring, names: Set<String>, extended: Bool) -> Bool {
        let parts = path.split(separator: ".").map { String($0) }
        guard let field = parts.last, contract.numbers.contains(field), path.last != "." else { return false }
        if parts.count == 1 { return extended }
        let owner = parts[0] == "self" && parts.count > 2 ? parts[1] : parts[0]
        if parts[0] == "self", parts.count == 2 { return extended }
        return names.contains(owner)
            || parts.dropLast().contains { contract.kinds.contains($0) && parts[0] == "$0" }
    }

    private static func isReckonedWith(_ before: Substring, _ after: Substring) -> Bool {
        if conversions.contains(where: before.hasSuffix) {
            // A name that only ends like a conversion is another function.
            return conversions.contains { before.hasSuffix($0) && isWhole($0, at: before) }
        }
        let left = before.reversed().drop(while: \.isWhitespace)
        let head = String(left.prefix(3).reversed())
        if head.last == "[", let owner = left.dropFirst().first { return owner.isWordLike || owner == ")" }
        if operators.contains(where: head.hasSuffix), !head.hasSuffix("->") { return true }
        if ["+=", "-=", "*=", "/="].contains(where: head.hasSuffix) { return true }
        let right = after.drop(while: \.isWhitespace)
        return operators.contains { right.hasPrefix($0) } && !right.hasPrefix("->")
    }

    private static func isWhole(_ conversion: String, at text: Substring) -> Bool {
        let rest = text.dropLast(conversion.count)
        return conversion.first == "." || rest.last.map { !$0.isWordLike && $0 != "." } ?? true
    }

    /// What stands for a link message in a file: parameters, variables, and what a `case` binds.
    private static func linkNames(in file: SourceFile) -> Set<String> {
        var names: Set<String> = []
        for line in file.code {
            for match in line.matches(of: /(\w+)\s*:\s*(?:inout )?\[?(Link\w+)/)
            where contract.types.contains(String(match.2)) { names.insert(String(match.1)) }
            for match in line.matches(of: /(?:let|var) (\w+) = (Link\w+)[(.]/)
            where contract.types.contains(String(match.2)) { names.insert(String(match.1)) }
            for match in line.matches(of: /\.(\w+)\(let (\w+)\)/)
            where contract.kinds.contains(String(match.1)) {
                names.insert(String(match.2))
            }
        }
        return names
    }
}
