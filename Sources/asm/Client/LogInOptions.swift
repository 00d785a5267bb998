import ASMClient
import ArgumentParser
import Foundation

/// The Web Services to use.
struct WebOptions: ParsableArguments {
    @Option(help: "The Web Services: http://HOST:PORT or https://HOST, several with commas between them.")
    var web: String

    @Option(
        name: [.customLong("ca"), .customLong("trust")],
        help: "A file of certificates (PEM) to trust instead of the system's.")
    var trustedCertificatesFile: String?

    func configuration() throws -> ClientConfiguration {
        let addresses: [WebAddress]
        do {
            addresses = try WebAddress.list(web)
        } catch {
            throw ValidationError("--web: \(error.message)")
        }
        var configuration = try ClientConfiguration(addresses: addresses)
        configuration.trustedCertificatesFile = trustedCertificatesFile
        return configuration
    }
}

/// Who uses the service.
struct LogInOptions: ParsableArguments {
    @OptionGroup var web: WebOptions

    @Option(help: "The organisation; needed only where two have a user with the same log-in name.")
    var customer: String?

    @Option(help: "Your log-in name.")
    var login: String

    @Option(
        help: "A file with the password in its first line. Else ASM_PASSWORD is used, else you are asked.")
    var passwordFile: String?

    /// Logs in and makes a client.
    func client(
        deviceName: String, adjust: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> MessagingClient {
        var configuration = try web.configuration()
        adjust(&configuration)
        let password = try ClientPassword.find(file: passwordFile, login: login)
        let logIn = try await MessagingClient.logIn(
            login, password: password, customer: customer, deviceName: deviceName,
            configuration: configuration)
        return try MessagingClient(configuration: configuration, token: logIn.token)
    }
}

/// Finds a password: in a file, in the environment, or by asking at the terminal.
enum ClientPassword {
    static func find(file: String?, login: String) throws -> String {
        if let file {
            // Why it cannot be read matters less than which file it is.
            guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
                throw CommandFailure("The password file \(file) cannot be read as UTF-8 text.")
            }
            let line = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            guard !line.isEmpty else { throw CommandFailure("The password file \(file) is empty.") }
            return line
        }
        if let password = ProcessInfo.processInfo.environment["ASM_PASSWORD"], !password.isEmpty {
            return password
        }
        guard isatty(STDIN_FILENO) == 1, let typed = getpass("Password of \(login): ") else {
            throw CommandFailure(
                "There is no password: use --password-file FILE, set ASM_PASSWORD, or run this at a terminal."
            )
        }
        return String(cString: typed)
    }
}

/// A failure told in a plain sentence; the exit status is 1.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The two streams of a command, written at once and unbuffered.
enum Terminal {
    static func out(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }
    static func note(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

    /// Says that there is no connection, why, and when the next try is.
    static func noteLost(_ reason: String, retryIn pause: Duration) {
        let seconds = (pause / .milliseconds(100)).rounded() / 10
        note("Not connected (\(reason)); trying again in \(seconds) s.")
    }
}

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif
