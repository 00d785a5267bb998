import Foundation

@testable import SystemSupport

/// A machine of the deployment: a network namespace with one address on the bridge.
///
/// The clients are outside of them, at the bridge itself.
enum Host: String, CaseIterable, Sendable {
    case asmA = "asm-a"
    case asmB = "asm-b"
    case web1 = "web-1"
    case web2 = "web-2"
    case balancer = "lb"
    case database1 = "pg-1"
    case database2 = "pg-2"
    case etcd = "etcd"
    case mail = "smtp"

    static let bridge = "10.77.0.1"

    var name: String { rawValue }

    var address: String {
        switch self {
        case .asmA: "10.77.0.11"
        case .asmB: "10.77.0.12"
        case .web1: "10.77.0.21"
        case .web2: "10.77.0.22"
        case .balancer: "10.77.0.31"
        case .database1: "10.77.0.41"
        case .database2: "10.77.0.42"
        case .etcd: "10.77.0.51"
        case .mail: "10.77.0.61"
        }
    }

    static let databases: [Host] = [.database1, .database2]

    /// The other one of the two database servers.
    var otherDatabase: Host { self == .database1 ? .database2 : .database1 }
}

/// Runs a tool to its end and answers what it printed.
@discardableResult
func tool(_ path: String, _ arguments: [String], on host: Host? = nil, input: String = "") async throws
    -> String
{
    let program = try await Program(
        path, path: path, arguments, on: host?.name, input: Array(input.utf8))
    let ended = try await program.ended()
    guard ended.exitStatus == 0 else {
        throw Program.Failure(
            description: "\(path) \(arguments.joined(separator: " ")) failed: \(ended.errorText)")
    }
    return ended.outputText
}
