import Domain

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The system's `write`, which a method of that name hides.
private func writeBytes(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}

/// Where log lines go: to standard error, each with what would steer a terminal or forge another line written out.
///
/// Names, reasons and errors in a log come from outside: from peers, clients, databases. Whatever they hold, an event is one
/// line.
struct LogLines: TextOutputStream, Sendable {
    /// A line with its line feed.
    mutating func write(_ line: String) {
        let text = line.hasSuffix("\n") ? line.dropLast() : line[...]
        var bytes = Array(escapingControls(text).utf8)
        bytes.append(UInt8(ascii: "\n"))
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { writeBytes(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                // Nobody reads the log: there is nobody to tell.
                return
            }
        }
    }
}
