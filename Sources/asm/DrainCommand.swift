import ArgumentParser
import Domain
import Store

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Take an ASM Service out in order: nobody is refused, nothing is lost.",
        discussion: """
            The server sees it with its next beat (a second): it takes no new sessions, the web tier moves its clients \
            to other servers, what is in flight is answered, its licence slot is given back, and it exits with status 0. \
            Start it again to take it back in.
            Example: asm drain 10.0.0.11:7400 --wait --database postgresql://asm@db1,db2/asm
            """)

    /// How long `--wait` waits, and how often it looks.
    private static let patience = Duration.seconds(120)
    private static let pace = Duration.milliseconds(250)

    @Argument(
        help: ArgumentHelp(
            "The server, as `asm servers` lists it; the host alone when it is the only one there.",
            valueName: "server"))
    var server: String

    @Flag(help: "Wait until the server has ended.")
    var wait = false

    @Flag(help: "Take the request back, if the server has not seen it yet.")
    var cancel = false

    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if wait, cancel { throw ValidationError("Give --wait or --cancel, not both.") }
    }

    func run() async throws {
        let times = cluster.times
        try await withStore(common, database) { store in
            let address = try await Self.address(of: server, among: store.servers())
            if cancel {
                guard try await store.cancelDrain(of: address) else {
                    throw ValidationError(
                        "There is nothing to take back: server '\(address)' was not asked, or is ending already."
                    )
                }
                return try Terminal.out("Server '\(address)' stays.")
            }
            let asked = try await store.requestDrain(of: address)
            guard wait else {
                return try Terminal.out(
                    "Server '\(address)' has been asked to end; `asm servers` shows when it has.")
            }
            try await Self.untilEnded(asked, in: store, times)
            try Terminal.out("Server '\(address)' has ended.")
        }
    }

    /// The whole address of a server that is named by it or by its host.
    private static func address(of name: String, among servers: [ServerRecord]) throws -> String {
        if servers.contains(where: { $0.address == name }) { return name }
        let named = servers.map(\.address).filter { $0.hasPrefix(name + ":") }
        guard named.count <= 1 else {
            throw ValidationError(
                "'\(name)' is several servers: \(named.joined(separator: ", ")). Name one of them.")
        }
        return named.first ?? name
    }

    private static func untilEnded(_ asked: ServerRecord, in store: Store, _ times: ClusterTimes) async throws
    {
        let end = ContinuousClock.now + patience
        while ContinuousClock.now < end {
            guard let now = try await store.servers().first(where: { $0.id == asked.id }),
                now.boot == asked.boot,
                now.stoppedAt == nil
            else { return }
            if !now.isBeating(times) {
                throw ValidationError(
                    "Server '\(asked.address)' is silent (\(now.state(times))): it did not end in order. Look at its log."
                )
            }
            try await Task.sleep(for: pace)
        }
        throw ValidationError("Server '\(asked.address)' has not ended within \(patience). Look at its log.")
    }
}
