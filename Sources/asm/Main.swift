import ArgumentParser

@main
struct ASM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "asm",
        abstract: "Secure messages for hospitals and answering services, on as many servers as you like.",
        discussion: """
            A first look, everything in one process:
              asm up --demo

            On servers of your own: `asm service` beside a PostgreSQL database, `asm web-service` in front of it.
            Every option can also be given in the environment (--web-port as ASM_WEB_PORT) or in a JSON file \
            named with --config ({"web": {"port": 8080}}); an option wins over the environment, and that over the file.
            """,
        version: Software.version,
        subcommands: [
            UpCommand.self, ServiceCommand.self, WebServiceCommand.self, MigrateCommand.self,
            CustomerCommand.self,
            UserCommand.self, SendCommand.self, ListenCommand.self, BenchCommand.self,
        ])
}

/// What this program calls itself.
enum Software {
    static let version = "0.1.0"
    static let name = "asm/" + version
}
