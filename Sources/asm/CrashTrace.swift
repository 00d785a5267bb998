#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Sees to it that a crash of an installed program leaves a trace with the names of its functions in the log.
///
/// Swift's runtime starts a second program for that, which `make install` puts beside this one, and which it looks for
/// only when the environment says so as the process begins. Hence a program that finds it, and nothing about it in its
/// environment, begins once more with that said. A value of `SWIFT_BACKTRACE` from outside is left as it is.
enum CrashTrace {
    private static let variable = "SWIFT_BACKTRACE"
    /// From the folder that the program's own folder lies in; `make install` puts it there.
    private static let place = "libexec/swift/linux/swift-backtrace"
    /// Only the thread that crashed, with the names and nothing of what it had in its registers or memory.
    private static let settings =
        "enable=yes,interactive=no,color=no,output-to=stderr,threads=crashed,registers=none,images=none,timeout=20s"

    /// Returns when there is nothing to do; otherwise this process begins anew as the same program.
    static func arm() {
        guard getenv(variable) == nil, let program = ownPath() else { return }
        let folder = program.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let helper = (folder + [place[...]]).joined(separator: "/")
        guard access(helper, X_OK) == 0 else { return }
        setenv(variable, "\(settings),swift-backtrace=\(helper)", 1)
        // Comes back only when it fails; then the program runs on without.
        execv(program, CommandLine.unsafeArgv)
    }

    private static func ownPath() -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &bytes, bytes.count)
        guard count > 0, count < bytes.count else { return nil }
        return String(decoding: bytes[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
