import Foundation

@testable import SystemSupport

/// The bridge and the hosts on it, and what is done to the traffic between them.
enum Network {
    /// How packets between hosts are lost.
    enum Cut: Sendable {
        /// Nothing passes in either direction, and nobody is told.
        case drop
        /// What the host sends passes, what comes for it is lost.
        case dropIncoming
        /// What the host sends is answered with a reset.
        case reset
    }

    struct NotPrivate: Error, CustomStringConvertible {
        let description =
            "The failover suite needs a network of its own: run it with `make failover`, as root."
    }

    private static let ip = "/usr/sbin/ip"
    private static let nft = "/usr/sbin/nft"

    /// Makes the bridge and the hosts; only where nothing but loopback is.
    static func make() async throws {
        let links = try await tool(ip, ["-o", "link", "show"]).split(separator: "\n")
        guard ProcessInfo.processInfo.environment["ASM_FAILOVER_FOLDER"] != nil, links.count == 1 else {
            throw NotPrivate()
        }
        var lines = ["link add br0 type bridge", "addr add \(Host.bridge)/24 dev br0", "link set br0 up"]
        for host in Host.allCases {
            lines += [
                "netns add \(host.name)",
                "link add v-\(host.name) type veth peer name eth0 netns \(host.name)",
                "link set v-\(host.name) master br0 up",
            ]
        }
        try await tool(ip, ["-batch", "-"], input: lines.joined(separator: "\n") + "\n")
        for host in Host.allCases {
            let lines = ["link set lo up", "addr add \(host.address)/24 dev eth0", "link set eth0 up"]
            try await tool(ip, ["-n", host.name, "-batch", "-"], input: lines.joined(separator: "\n") + "\n")
        }
    }

    /// Cuts a host off from others, in its own packet filter.
    static func cut(_ host: Host, from others: [String], _ cut: Cut = .drop) async throws {
        let verdict = cut == .reset ? "ip protocol tcp reject with tcp reset" : "drop"
        var lines = [
            "add table inet faults", "add chain inet faults in { type filter hook input priority 0; }",
            "add chain inet faults out { type filter hook output priority 0; }",
        ]
        for address in others {
            // A reset comes in from the address that it was sent to.
            if cut != .reset { lines.append("add rule inet faults in ip saddr \(address) \(verdict)") }
            if cut != .dropIncoming {
                lines.append("add rule inet faults out ip daddr \(address) \(verdict)")
            }
        }
        try await tool(nft, ["-f", "-"], on: host, input: lines.joined(separator: "\n") + "\n")
    }

    static func cut(_ host: Host, from others: [Host], _ cut: Cut = .drop) async throws {
        try await self.cut(host, from: others.map(\.address), cut)
    }

    /// Removes every cut at a host.
    static func heal(_ host: Host) async throws {
        try await tool(
            nft, ["-f", "-"], on: host, input: "add table inet faults\ndelete table inet faults\n")
    }

    /// Takes a host's cable out, or puts it in again.
    static func plug(_ host: Host, in isIn: Bool) async throws {
        try await tool(ip, ["link", "set", "v-\(host.name)", isIn ? "up" : "down"])
    }

    /// Every process of a host.
    static func processes(of host: Host) async throws -> [Int32] {
        try await tool(ip, ["netns", "pids", host.name]).split(separator: "\n").compactMap { Int32($0) }
    }
}
