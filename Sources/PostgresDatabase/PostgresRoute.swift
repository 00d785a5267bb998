/// Where a PostgreSQL URL leads, and how encrypted: for the rule on what may be plain text.
package struct PostgresRoute: Hashable, Sendable {
    /// The hosts that are reached over TCP; empty when all are sockets of this machine.
    package let hosts: [String]
    /// libpq's `sslmode`.
    package let encryption: String

    /// libpq takes from the environment what the URL does not say.
    package init(url: String, environment: [String: String]) throws {
        let settings = try ConnectionString.parse(url)
        func value(_ keyword: String, _ variable: String) -> String? {
            let text = settings.first { $0.keyword == keyword }?.value ?? environment[variable]
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
        encryption = value("sslmode", "PGSSLMODE") ?? "prefer"
        // Addresses are what is connected to; where there are none, the hosts' own.
        let addresses = value("hostaddr", "PGHOSTADDR") ?? value("host", "PGHOST") ?? ""
        let hosts = addresses.split(separator: ",", omittingEmptySubsequences: true).map { String($0) }
        if hosts.isEmpty, let service = value("service", "PGSERVICE") {
            self.hosts = ["service \(service)"]
        } else {
            self.hosts = hosts.filter { !$0.hasPrefix("/") && !$0.hasPrefix("@") }
        }
    }
}
