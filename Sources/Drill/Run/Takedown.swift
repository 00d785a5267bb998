package import ASMClient
import Foundation

/// Something that a drill does to a process of this machine by itself, at its time.
package struct Takedown: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// SIGKILL.
        case kill
        /// SIGSTOP, and SIGCONT after the time.
        case stop(for: Duration)
    }

    package let process: Int32
    package let kind: Kind
    /// From the first message on; nil: spread over the drill.
    package let at: Duration?

    /// Reads `PID` or `PID@SECONDS`.
    package static func kill(_ text: String) throws(MessagingError) -> Takedown {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard let process = process(parts.first), parts.count <= 2 else {
            throw bad("--kill", text, "PID or PID@SECONDS, as in 4711@20")
        }
        guard parts.count == 2 else { return Takedown(process: process, kind: .kill, at: nil) }
        guard let at = seconds(parts[1]) else {
            throw bad("--kill", text, "PID or PID@SECONDS, as in 4711@20")
        }
        return Takedown(process: process, kind: .kill, at: at)
    }

    /// Reads `PID@SECONDS+SECONDS`: when, and for how long.
    package static func stop(_ text: String) throws(MessagingError) -> Takedown {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        let times = parts.count == 2 ? parts[1].split(separator: "+", omittingEmptySubsequences: false) : []
        guard let process = process(parts.first), times.count == 2, let at = seconds(times[0]),
            let length = seconds(times[1]), length > .zero
        else {
            throw bad("--stop", text, "PID@SECONDS+SECONDS, as in 4711@20+5: at second 20, for 5 s")
        }
        return Takedown(process: process, kind: .stop(for: length), at: at)
    }

    /// Those without a time get one: spread evenly over the drill.
    package static func spread(_ takedowns: [Takedown], over duration: Duration) -> [Takedown] {
        let open = takedowns.count { $0.at == nil }
        var place = 0
        return takedowns.map { takedown in
            guard takedown.at == nil else { return takedown }
            place += 1
            let at = duration * Double(place) / Double(open + 1)
            return Takedown(process: takedown.process, kind: takedown.kind, at: at)
        }
    }

    /// Throws when there is no such process, or it may not be signalled.
    package func check() throws(MessagingError) {
        guard Foundation.kill(process, 0) == 0 else {
            throw MessagingError(
                code: "bad-request",
                message: "Process \(process) cannot be taken down: \(String(cString: strerror(errno))).")
        }
    }

    /// Does it at its time and tells what was done.
    func run(from start: ContinuousClock.Instant, tell: @Sendable (String) -> Void) async throws {
        try await Task.sleep(until: start + (at ?? .zero))
        switch kind {
        case .kill: tell(Self.signal(process, SIGKILL, "killed process \(process)"))
        case .stop(let length):
            tell(Self.signal(process, SIGSTOP, "stopped process \(process)"))
            // Also when the drill ends before: a process that stands still for ever is no drill.
            defer { tell(Self.signal(process, SIGCONT, "let process \(process) go on")) }
            try await Task.sleep(for: length)
        }
    }

    private static func signal(_ process: Int32, _ number: Int32, _ text: String) -> String {
        Foundation.kill(process, number) == 0
            ? text : "could not signal process \(process): \(String(cString: strerror(errno)))"
    }

    /// Only processes proper: 1, 0 and negative numbers mean others.
    private static func process(_ text: Substring?) -> Int32? {
        text.flatMap { Int32($0) }.flatMap { $0 > 1 ? $0 : nil }
    }

    private static func seconds(_ text: Substring) -> Duration? {
        guard let seconds = Double(text), seconds >= 0, seconds <= 86_400 else { return nil }
        return .seconds(seconds)
    }

    private static func bad(_ option: String, _ text: String, _ expected: String) -> MessagingError {
        MessagingError(code: "bad-request", message: "\(option) is \"\(text)\"; expected \(expected).")
    }
}
