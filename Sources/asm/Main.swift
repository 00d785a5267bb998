import ArgumentParser

#if FAILPOINTS
    import Failpoints
#endif

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
            UpCommand.self, ServiceCommand.self, WebServiceCommand.self, AdminWebCommand.self,
            DrainCommand.self, MigrateCommand.self, ServersCommand.self, LicenseCommand.self,
            CustomerCommand.self,
            UserCommand.self, LogCommand.self, EventsCommand.self, CertificatesCommand.self,
            SendCommand.self,
            ListenCommand.self, BenchCommand.self, DrillCommand.self, WatchCommand.self,
        ])

    static func main() async {
        CrashTrace.arm()
        await main(nil)
    }

    #if FAILPOINTS
        /// Arms what tests want to happen; the same for every command.
        func validate() throws {
            do { try Sabotage.load() } catch { throw ValidationError("\(error)") }
        }
    #endif
}

/// What this program calls itself.
enum Software {
    static let version = "0.1.0"
    static let name = "asm/" + version
}
