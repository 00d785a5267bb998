extension HouseRule {
    /// All rules. A new one needs examples that break it and examples that keep it.
    static let all = safety + shape + words + link

    private static let safety: [HouseRule] = [
        HouseRule(
            "No try that crashes", forbids: { $0.holdsWord("try!") },
            advice: "`try!` ends the process for everyone: throw, or handle the error here.",
            violations: [.init("let x = try! f()"), .init("try!f()", in: "Tests/StoreTests/Sample.swift")],
            lawful: [.init("let x = try f() // never try! this"), .init(#"let text = "try! again""#)]),
        HouseRule(
            "No fatal error", forbids: { $0.holdsWord("fatalError(") },
            advice:
                "`fatalError` ends the process for everyone: throw an error that says what the caller can do.",
            violations: [.init(#"fatalError("no")"#)],
            lawful: [.init("isFatalError(x)"), .init("// fatalError( is forbidden")]),
        HouseRule(
            "No cast that crashes", forbids: { $0.holdsWord("as!") },
            advice: "`as!` ends the process for everyone: use `as?` and say what happens otherwise.",
            violations: [.init("let x = y as! Int")],
            lawful: [.init("let x = y as? Int"), .init("was!")]),
        HouseRule(
            "No unowned task", forbids: startsUnownedTask,
            advice: """
                Nobody waits for this task or cancels it: use a task group or a Service, or hand the work to \
                BackgroundWork; only asm starts tasks.
                """,
            holds: { $0.isSwift && $0.isSource && !$0.isIn("asm") && !$0.isGenerated },
            violations: [
                .init("Task { await f() }"), .init("let t = Task<Void, Never> { }"),
                .init("Task.detached { }"),
                .init("Task(priority: .high) { f() }"), .init("return Task.immediate { f() }"),
                .init("x.map { Task{ $0 } }"),
            ],
            lawful: [
                .init("group.addTask { await f() }"), .init("Task { f() }", in: "Sources/asm/Sample.swift"),
                .init("try await Task.sleep(for: pause)"), .init("while !Task.isCancelled { f() }"),
                .init("Task { f() }", in: "Tests/StoreTests/Sample.swift"), .init("struct RepeatedTask {"),
                .init("var task: RepeatedTask? { nil }"),
            ]),
        HouseRule(
            "No cancelled statement",
            forbids: { line in
                ["PQcancel", "PQgetCancel", "PQrequestCancel", "PQcancelCreate"].contains {
                    line.holdsWord($0)
                }
            },
            advice: """
                A commit that is cancelled while it waits for its standby looks like a success: let the deadline drop \
                the connection, which makes the outcome unknown.
                """,
            holds: { $0.isSwift && $0.isSource },
            violations: [
                .init("PQcancel(handle, buffer, 256)"), .init("let cancel = PQgetCancel(raw.handle)"),
            ],
            lawful: [.init("// never PQcancel a send"), .init("PQfinish(handle)")]),
        HouseRule(
            "No printing",
            forbids: { line in
                [
                    "print(", "debugPrint(", "dump(", "NSLog(", "FileHandle.standardOutput",
                    "FileHandle.standardError",
                ].contains { line.holdsWord($0) }
            },
            advice: """
                Only Terminal writes to the streams of a command: it escapes what comes from outside, and ends with a \
                sentence where nobody reads. Elsewhere use the Logger.
                """,
            holds: { $0.isSwift && !$0.isGenerated },
            violations: [
                .init(#"print("x")"#), .init("  debugPrint(x)"), .init("print(x)", in: "Sources/asm/S.swift"),
                .init("print(x)", in: "Tests/T/S.swift"),
                .init("FileHandle.standardError.write(x)", in: "Sources/asm/S.swift"),
            ],
            lawful: [
                .init("fingerprint(x)"), .init("printer.print(x)"), .init("try Terminal.out(x)"),
                .init("FileHandle.standardInput.read(upToCount: 1)"),
            ]),
        HouseRule(
            "No tuple from a task", forbids: returnsTupleFromTask,
            advice: """
                The optimiser of Swift 6.3 corrupts a tuple that a task returns from inside do/catch: return a struct.
                """,
            holds: { $0.isSwift && $0.isSource && !$0.isGenerated },
            violations: [
                .init("withTaskGroup(of: (Int, String).self) { tasks in"),
                .init("try await withThrowingTaskGroup(of: (Int, Value).self) { group in"),
                .init("withDiscardingTaskGroup(returning: (Int, Int).self) { group in"),
                .init("let task: Task<(Int, Int), Never>? = nil"),
                .init("tasks.addTask { do { return (index, try f()) } catch { throw error } }"),
                .init("async let (a, b) = pair()"),
            ],
            lawful: [
                .init("withTaskGroup(of: Probed.self) { tasks in"),
                .init("withTaskGroup(of: Void.self) { t in"),
                .init("try await withThrowingTaskGroup(of: (any Service).self) { group in"),
                .init("tasks.addTask { return (try f()) }"), .init("async let a = f(b, c)"),
            ]),
        HouseRule(
            name: "No unproven promise to the compiler",
            advice: "Say in a comment on this line or the one before why this is safe, in one line.",
            holds: { $0.isSwift && !$0.isGenerated },
            brokenLines: unprovenPromises,
            violations: [
                .init("import A\n\nfinal class C: @unchecked Sendable {}"),
                .init("nonisolated(unsafe) var x = 1"),
                .init("@preconcurrency import Glibc"),
            ],
            lawful: [
                .init("// One thread at a time.\nfinal class C: @unchecked Sendable {}"),
                .init("nonisolated(unsafe) var x = 1  // Set before any thread starts."),
                .init(#"let text = "@unchecked Sendable""#),
            ]),
    ]

    private static func startsUnownedTask(_ line: Substring) -> Bool {
        if line.holdsWord("Task.detached") || line.holdsWord("Task.immediate") { return true }
        return line.places(ofWord: "Task").contains { place in
            var rest = line[line.index(place, offsetBy: 4)...]
            for (open, close) in [("<", ">"), ("(", ")")] as [(Character, Character)] {
                rest = rest.drop(while: \.isWhitespace)
                if rest.first == open { rest = rest.drop(while: { $0 != close }).dropFirst() }
            }
            return rest.drop(while: \.isWhitespace).first == "{"
        }
    }

    /// Whether the line makes a task whose value is a tuple.
    private static func returnsTupleFromTask(_ line: Substring) -> Bool {
        var openings = ["TaskGroup(of: (", "TaskGroup(returning: (", "Task<(", "async let ("]
        if line.contains("addTask") { openings.append("return (") }
        return openings.contains { opening in
            guard let place = line.firstRange(of: opening) else { return false }
            return holdsComma(line[place.upperBound...])
        }
    }

    /// Whether a comma comes before the bracket that is open is closed.
    private static func holdsComma(_ inside: Substring) -> Bool {
        var depth = 0
        for character in inside {
            switch character {
            case "(", "<", "[": depth += 1
            case ")" where depth == 0: return false
            case ")", ">", "]": depth -= 1
            case "," where depth == 0: return true
            default: break
            }
        }
        return false
    }

    private static func unprovenPromises(_ file: SourceFile) -> [Int] {
        let promises = ["@unchecked", "nonisolated(unsafe)", "@preconcurrency"]
        return file.code.indices.filter { index in
            guard promises.contains(where: { file.code[index].holdsWord($0) }) else { return false }
            let nearby = file.comments[max(index - 1, 0)...index]
            return nearby.allSatisfy { $0.filter(\.isLetter).isEmpty }
        }.map { $0 + 1 }
    }
}

extension HouseRule {
    static let longestFile = 400
    static let longestFunction = 70

    private static let shape: [HouseRule] = [
        HouseRule(
            name: "No file over \(longestFile) lines",
            advice:
                "Longer than \(longestFile) lines: move what has a name of its own into a file of that name.",
            holds: { file in
                !file.isGenerated && [".swift", ".js", ".css", ".py"].contains { file.path.hasSuffix($0) }
            },
            brokenLines: { file in
                let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
                return count > longestFile ? [longestFile + 1] : []
            },
            violations: [
                .init(String(repeating: "\n", count: 401)),
                .init(String(repeating: "x\n", count: 500), in: "Sources/WebService/Resources/app.js"),
            ],
            lawful: [
                .init(String(repeating: "\n", count: 400)),
                .init(String(repeating: "\n", count: 900), in: "Sources/ServiceLink/Contract/link.pb.swift"),
            ]),
        HouseRule(
            name: "No function over \(longestFunction) lines",
            advice: "Longer than \(longestFunction) lines: give its steps names and functions of their own.",
            holds: { $0.isSwift && !$0.isGenerated },
            brokenLines: { file in
                FunctionLengths.of(file).filter { $0.count > longestFunction }.map(\.line)
            },
            violations: [
                .init("func f(x: () -> Void = { }) {\n" + String(repeating: "a()\n", count: 70) + "}"),
                .init("struct S {\n    init() {\n" + String(repeating: "{ }\n", count: 80) + "    }\n}"),
            ],
            lawful: [
                .init("func f() {\n" + String(repeating: "a()\n", count: 68) + "}"),
                .init(
                    "protocol P {\n    func f()\n    var x: Int { get }\n}\nstruct S {\n"
                        + String(repeating: "let a = S.init()\n", count: 90) + "}"),
                .init(
                    "func f() -> String {\n\"\"\"\n" + String(repeating: "SELECT 1;\n", count: 90)
                        + "\"\"\"\n}"),
            ]),
        HouseRule(
            "Public only where outsiders look",
            forbids: { $0.holdsWord("public") },
            advice: "Only the product ASMClient has a public face: use `package`.",
            holds: { $0.isSwift && !$0.isGenerated && !$0.isIn("ASMClient") },
            violations: [.init("public struct S {}"), .init("    public init() {}", in: "Tests/T/S.swift")],
            lawful: [
                .init("package struct S {}"), .init("public struct S {}", in: "Sources/ASMClient/S.swift"),
                .init("public struct S {}", in: "Sources/ServiceLink/Contract/link.pb.swift"),
                .init("let publicKey = 1"),
            ]),
        HouseRule(
            name: "The main type says what it is",
            advice:
                "Begin the documentation of this type, with `///`: one full sentence that says what it is.",
            holds: { $0.isSwift && !$0.isGenerated },
            brokenLines: undocumentedMainType,
            violations: [
                .init("import A\n\npackage struct S {}"), .init("// A remark.\npublic final class C {}"),
                .init("@available(macOS 15, *)\npackage enum E {}"),
            ],
            lawful: [
                .init("/// A thing.\npackage struct S {}\npackage struct T {}"), .init("struct S {}"),
                .init("/// A thing.\n@available(macOS 15, *)\npackage actor A {}"),
                .init("/// A thing.\n// Sendable because it is alone.\npackage final class C {}"),
            ]),
    ]

    private static func undocumentedMainType(_ file: SourceFile) -> [Int] {
        let levels: Set<Substring> = ["package", "public"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol"]
        let lines = file.lines
        let main = file.code.indices.first { index in
            guard file.code[index].first?.isWhitespace == false else { return false }
            let words = file.code[index].split { !$0.isWordLike && $0 != "@" }.drop { $0.hasPrefix("@") }
            guard let first = words.first, levels.contains(first) else { return false }
            return words.dropFirst().first(where: { !["final", "indirect", "nonisolated"].contains($0) })
                .map(kinds.contains) == true
        }
        guard let main else { return [] }
        let above = lines[..<main].reversed().drop {
            $0.hasPrefix("@") || ($0.hasPrefix("//") && !$0.hasPrefix("///"))
        }
        return above.first?.hasPrefix("///") == true ? [] : [main + 1]
    }
}

extension HouseRule {
    // In pieces, so that this file keeps the rules that it states.
    private static let laterMarks = ["TO" + "DO", "FIX" + "ME"]
    private static let foreignNames = ["amt" + "elco", "amst" + "elco"]

    private static let words: [HouseRule] = [
        HouseRule(
            name: "Nothing left for later",
            advice: "Do it now, or open an issue and say here how things are, not how they should be.",
            holds: { file in
                !file.isGenerated
                    && [".swift", ".js", ".css", ".py", ".proto"].contains { file.path.hasSuffix($0) }
            },
            brokenLines: { file in
                let lines = file.isSwift ? file.comments : file.lines
                return lines.indices.filter { index in laterMarks.contains { lines[index].holdsWord($0) } }
                    .map { $0 + 1 }
            },
            violations: [
                .init("// \(laterMarks[0]): later"), .init("let x = 1  /* \(laterMarks[1]) */"),
                .init("// \(laterMarks[0])", in: "Sources/WebService/Resources/app.js"),
            ],
            lawful: [.init("let \(laterMarks[0].lowercased()) = 1"), .init("// What is done is done.")]),
        HouseRule(
            name: "No other maker's name",
            advice: "This product stands for itself: describe what it does without another maker's name.",
            holds: { _ in true },
            brokenLines: { file in
                file.lines.enumerated().filter { line in
                    let text = line.element.lowercased()
                    return foreignNames.contains { text.contains($0) }
                }.map { $0.offset + 1 }
            },
            violations: foreignNames.flatMap { name in
                [.init("// as in \(name)'s"), .init(name.uppercased(), in: "docs/x.md")]
            },
            lawful: [.init("// amtlich"), .init("Amstel", in: "README.md")]),
    ]
}
