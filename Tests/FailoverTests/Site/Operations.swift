import Foundation

@testable import SystemSupport

extension Site {
    /// Times so short that an outage of ten minutes takes some seconds, and long enough for two busy cores.
    private static let shortTimes = """
        {"cluster": {"beatSeconds": 0.5, "lastActiveSeconds": 2, "inactiveSeconds": 12, "sightingSeconds": 2,
                     "unreachableSeconds": 5, "stableSeconds": 4}}
        """

    /// A database of the cluster as its operator sees it, with short times.
    func installation(_ database: String = DatabaseCluster.name) throws -> Installation {
        // One for all rows on a database: an installation trusts one issuer of licences, whose key is there.
        let place = folder + "/operator-\(database)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        return try Installation(
            databaseURL: DatabaseCluster.url(database), folder: place, times: Self.shortTimes
        ) { [self] sql in
            try await self.database.sql(sql, on: self.database.primary(), database: database)
        }
    }

    /// Events and their mails in this deployment, with mail servers on the host that is made for them.
    func eventSetUp() throws -> EventSetUp {
        try EventSetUp(on: DatabaseCluster.url, in: newFolder(), mailHost: Host.mail.address)
    }

    func mailPeer(_ arguments: [String] = []) async throws -> MailPeer {
        try await MailPeer(arguments, host: (Host.mail.name, Host.mail.address))
    }

    /// Another ASM Service, which no Web Service knows.
    func furtherService(_ host: Host, port: Int, _ more: [String]) throws -> SiteServer {
        SiteServer(
            host, port: port, path: try Build.asm.path(),
            ["service", "--listen", "\(host.address):\(port)"] + more, environment: Self.plainText)
    }

    /// Starts the ASM Services again in turn, with something added to their arguments and environment.
    func restartServices(
        adding more: [String], with environment: [String: String] = [:], program: String? = nil
    ) async throws {
        for server in services {
            try await server.stop()
            server.live(with: environment, program: program, adding: more)
            try await server.startServing()
            try await untilServing()
        }
    }

    private func newFolder() throws -> String {
        let path = folder + "/" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        return path
    }
}

extension EventSetUp {
    /// Removes every e-mail entry, and with them the mails that wait.
    func removeEntries() async throws {
        let text = try await events("mail", "list", "--json")
        for entry in try JSONDecoder().decode(JSON.self, from: Data(text.utf8)).list {
            let id = entry["id"].text ?? entry["id"].integer.map(String.init) ?? ""
            if id != "default" { try await events("mail", "delete", id) }
        }
    }
}
