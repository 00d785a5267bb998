import Domain

/// What a Web Service says of itself and of the ASM Services of its list.
package struct DeploymentStatus: Sendable, Hashable {
    package struct Server: Sendable, Hashable {
        package var address = ""
        /// `healthy`, or what keeps it from serving.
        package var state = ""
        package var sessions: Int64 = 0

        package var isHealthy: Bool { state == "healthy" }
    }

    package var web = ""
    package var servers: [Server] = []

    package init() {}
}

extension WebAnswer {
    static func status(_ scanner: inout JSONScanner) throws(JSONFault) -> DeploymentStatus {
        var status = DeploymentStatus()
        try scanner.object { (key, scanner) throws(JSONFault) in
            switch key {
            case "web": status.web = escapingControls(try scanner.string())
            case "servers":
                try scanner.array { (scanner) throws(JSONFault) in
                    var server = DeploymentStatus.Server()
                    try scanner.object { (key, scanner) throws(JSONFault) in
                        switch key {
                        case "address": server.address = escapingControls(try scanner.string())
                        case "state": server.state = escapingControls(try scanner.string())
                        case "sessions": server.sessions = try scanner.integer()
                        default: try scanner.skip()
                        }
                    }
                    status.servers.append(server)
                }
            default: try scanner.skip()
            }
        }
        guard !status.web.isEmpty else { throw scanner.fault("the status does not name the Web Service") }
        return status
    }
}
