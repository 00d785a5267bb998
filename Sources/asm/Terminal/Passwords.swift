import ArgumentParser
import Domain
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Where a command finds a password: in a file, in the environment, or by asking at the terminal.
struct PasswordOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A file with the password in its first line; - is the standard input. Else ASM_PASSWORD is used, else you are asked.",
            valueName: "file"))
    var passwordFile: String?

    @Option(help: ArgumentHelp("For the environment and the settings file only.", visibility: .hidden))
    var password: String?

    var isGiven: Bool { passwordFile != nil || password != nil }

    /// - Parameters:
    ///   - who: whose password it is, for who is asked.
    ///   - twice: whether a person has to type it twice.
    func read(of who: String, twice: Bool = false) throws -> Sealed<String> {
        if let passwordFile { return try Passwords.read(file: passwordFile) }
        if let password, !password.isEmpty { return Sealed(password) }
        guard isatty(STDIN_FILENO) == 1 else {
            throw CommandFailure(
                "There is no password: use --password-file FILE, set ASM_PASSWORD, or run this at a terminal."
            )
        }
        let typed = Passwords.ask("Password of \(escapingControls(who)): ")
        guard !twice || typed == Passwords.ask("Again: ") else {
            throw ValidationError("The two passwords differ.")
        }
        return Sealed(typed)
    }
}

/// Passwords in files and at the terminal; the same rule for every command.
enum Passwords {
    static let shortest = 8
    /// No password is longer.
    static let limitBytes = 4_096

    /// The first line of a file, up to a line feed, a carriage return or both; a byte-order mark is no part of it.
    ///
    /// It is read byte by byte: what follows in the standard input is left for the command.
    static func read(file: String) throws -> Sealed<String> {
        let name = file == "-" ? "standard input" : "password file '\(file)'"
        let stream = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC)
        guard stream >= 0 else { throw unreadable(name) }
        defer { if file != "-" { close(stream) } }
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        reading: while true {
            switch readByte(stream, &byte) {
            case 0: break reading
            case 1 where byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r"): break reading
            case 1: bytes.append(byte)
            default: if errno != EINTR { throw unreadable(name) }
            }
            guard bytes.count <= limitBytes else {
                throw CommandFailure("The first line of the \(name) is longer than \(limitBytes) bytes.")
            }
        }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        guard !bytes.isEmpty else { throw CommandFailure("The first line of the \(name) is empty.") }
        guard let password = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("The first line of the \(name) is not UTF-8 text.")
        }
        return Sealed(password)
    }

    static func ask(_ prompt: String) -> String {
        guard let typed = getpass(prompt) else { return "" }
        return String(cString: typed)
    }

    private static func unreadable(_ name: String) -> CommandFailure {
        CommandFailure("The \(name) cannot be read: \(String(cString: strerror(errno))).")
    }
}

private func readByte(_ stream: Int32, _ byte: inout UInt8) -> Int { read(stream, &byte, 1) }
