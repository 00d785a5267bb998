import Domain
import Foundation
import Store
import Synchronization

/// Keeps one address, or guesses at one customer's accounts, from taking everybody's turns at logging in.
///
/// Each log-in pays in advance as if its password were wrong, and gets it back when it was right. So guessing ends after
/// a burst, before a password is hashed, and a ward behind one address logs in as often as it likes.
final class LogInTurns: Sendable {
    private let failures: TokenBuckets<String>
    private let limit: Int
    private let inHand = Mutex<[String: Int]>([:])

    init(_ limits: AdmissionLimits) {
        failures = TokenBuckets(limits.failedLogIns, remembered: limits.remembered)
        limit = limits.addressLogIns
    }

    /// Runs the log-in of an address.
    /// - Throws: `too-many-requests` before it has cost anything, or what the log-in throws.
    func pass<Answer>(_ address: String, _ logIn: () async throws -> Answer) async throws -> Answer {
        let network = Self.network(of: address)
        let isFull = inHand.withLock { inHand in
            guard inHand[network, default: 0] < limit else { return true }
            inHand[network, default: 0] += 1
            return false
        }
        guard !isFull else { throw Self.refusal(.seconds(2)) }
        defer { inHand.withLock { $0.release(network) } }
        if let wait = failures.take(network) { throw Self.refusal(wait) }
        do {
            let answer = try await logIn()
            failures.giveBack(network)
            return answer
        } catch let refusal as Refusal where refusal.code == .badCredentials {
            throw refusal
        } catch {
            // Refused unread, or the database failed: no guess was made.
            failures.giveBack(network)
            throw error
        }
    }

    private static func refusal(_ wait: Duration) -> Refusal {
        Refusal(
            .tooManyRequests, "Too many log-ins come from this address; try again later.",
            retryAfterMilliseconds: max(Int((wait / .milliseconds(1)).rounded(.up)), 1_000))
    }

    /// The address, or for IPv6 its /64 network: so many addresses has everybody who has one.
    static func network(of address: String) -> String {
        guard address.contains(":"), !address.lowercased().hasPrefix("::ffff:") else { return address }
        let parts = address.split(separator: "%")[0].components(around: "::")
        var groups = parts.head
        if let tail = parts.tail {
            groups += Array(repeating: "0", count: max(8 - groups.count - tail.count, 0)) + tail
        }
        let leading = groups.prefix(4).map { group in
            UInt16(group, radix: 16).map { String($0, radix: 16) } ?? String(group)
        }
        return leading.joined(separator: ":") + "::/64"
    }
}

extension Substring {
    /// The groups before and after `::`; no tail where there is none.
    fileprivate func components(around gap: String) -> (head: [Substring], tail: [Substring]?) {
        guard let range = range(of: gap) else { return (split(separator: ":"), nil) }
        return (
            self[..<range.lowerBound].split(separator: ":"), self[range.upperBound...].split(separator: ":")
        )
    }
}
