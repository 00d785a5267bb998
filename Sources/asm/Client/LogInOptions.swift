import ASMClient
import ArgumentParser
import Domain

/// The Web Services to use.
struct WebOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The Web Services: http://HOST:PORT or https://HOST, several with commas between them.",
            valueName: "url,…"))
    var web: String

    @Option(
        name: [.customLong("ca"), .customLong("trust")],
        help: "A file of certificates (PEM) to trust instead of the system's.")
    var trustedCertificatesFile: String?

    @OptionGroup var file: SettingsFileOption

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

    @OptionGroup var password: PasswordOptions

    /// Logs in and makes a client.
    func client(
        deviceName: String, adjust: (inout ClientConfiguration) -> Void = { _ in }
    ) async throws -> MessagingClient {
        var configuration = try web.configuration()
        adjust(&configuration)
        let password = try password.read(of: login)
        let logIn = try await MessagingClient.logIn(
            login, password: password.open, customer: customer, deviceName: deviceName,
            configuration: configuration)
        return try MessagingClient(configuration: configuration, token: logIn.token)
    }
}
