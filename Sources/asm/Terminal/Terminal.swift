import Domain

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The two streams of a command, written at once and unbuffered: the only place that writes to them.
///
/// What a line says may come from anybody: characters that would steer the terminal, or begin another line, are
/// written out. An output that nobody reads any more, or that has no room, is an `OutputFailure`.
enum Terminal {
    /// One line of what the command is asked for.
    static func out(_ line: String) throws(OutputFailure) {
        try write(escapingControls(line) + "\n", to: STDOUT_FILENO)
    }

    /// Several lines, broken where the text is; each is written as `out` does.
    static func out(text: String) throws(OutputFailure) {
        try write(escapedLines(text) + "\n", to: STDOUT_FILENO)
    }

    /// JSON, which stays JSON: what its encoder leaves in strings is escaped as JSON does it.
    static func out(json: String) throws(OutputFailure) {
        var escaped = ""
        for scalar in json.unicodeScalars {
            if scalar != "\n", EscapedText.steers(scalar) {
                let digits = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            } else {
                escaped.unicodeScalars.append(scalar)
            }
        }
        try write(escaped + "\n", to: STDOUT_FILENO)
    }

    /// Bytes for another program, as they are.
    static func out(raw text: String) throws(OutputFailure) { try write(text, to: STDOUT_FILENO) }

    /// One line for whoever watches; where nobody can read it, the command goes on.
    static func note(_ line: String) { notes(escapingControls(line)) }

    /// Several lines for whoever watches.
    static func notes(_ text: String) {
        // There is no third stream to say so.
        try? write(escapedLines(text) + "\n", to: STDERR_FILENO)
    }

    /// Says that a server serves; it goes on where nobody can read it.
    static func announce(_ text: String) {
        // A server does not end because its first lines have no reader.
        try? write(escapedLines(text) + "\n", to: STDOUT_FILENO)
    }

    /// Says that there is no connection, why, and when the next try is.
    static func noteLost(_ reason: String, retryIn pause: Duration) {
        let seconds = (pause / .milliseconds(100)).rounded() / 10
        note("Not connected (\(reason)); trying again in \(seconds) s.")
    }

    /// Makes both streams safe to write to, whatever they were when the process started.
    static func prepare() {
        signal(SIGPIPE, SIG_IGN)
        // A stream that is closed would otherwise become the next file that is opened, and its text the file's.
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
            _ = open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY)
        }
    }

    private static func escapedLines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { escapingControls($0) }.joined(separator: "\n")
    }

    private static func write(_ text: String, to stream: Int32) throws(OutputFailure) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { systemWrite(stream, $0.baseAddress, $0.count) }
            if count >= 0 {
                done += count
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Whoever shares the terminal has set it not to wait.
                var ready = pollfd(fd: stream, events: Int16(POLLOUT), revents: 0)
                _ = poll(&ready, 1, -1)
            case EPIPE: throw .closed
            case let code: throw .failed(reason: String(cString: strerror(code)))
            }
        }
    }
}

/// The output of a command cannot be written.
enum OutputFailure: Error, CustomStringConvertible {
    /// Whoever read it has stopped, as `| head -1` does.
    case closed
    case failed(reason: String)

    /// The status of a program that ends since nobody reads its output: 128 and SIGPIPE.
    static let closedStatus: Int32 = 141

    var description: String {
        switch self {
        case .closed: "The output is closed."
        case .failed(let reason): "The output cannot be written: \(reason)."
        }
    }
}

private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(file, bytes, count)
}
