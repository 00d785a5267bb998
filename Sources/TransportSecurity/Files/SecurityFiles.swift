import Crypto
package import Foundation
package import Logging
import ServiceLifecycle
import Synchronization

/// The certificate files of one purpose: checked at start, and read again when they change, without a restart.
///
/// New connections use what was read last. What cannot be used is not taken: the old certificate stays, and the log says
/// what is wrong with the new one.
package final class SecurityFiles: Service {
    /// Where the files are.
    package struct Paths: Hashable, Sendable {
        /// The certificate, followed by those of intermediate authorities if there are any.
        package let certificate: String
        package let key: String
        /// The authorities whose certificates the other end must have; nil where it needs none.
        package let authorities: String?

        package init(certificate: String, key: String, authorities: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.authorities = authorities
        }
    }

    /// What the certificate is for.
    package enum Purpose: String, Sendable {
        /// An ASM Service's end of the service link.
        case linkServer = "service link, server"
        /// A Web Service's or Admin Web's end of the service link.
        case linkClient = "service link, client"
        /// HTTPS for apps and browsers.
        case web = "web"

        var uses: [CertificateDetails.Use] { self == .linkClient ? [.client] : [.server] }

        /// One of these must be the certificate's; any will do where there are none.
        var roles: Set<CertificateRole> {
            switch self {
            case .linkServer: CertificateRole.servers
            case .linkClient: CertificateRole.callers
            case .web: []
            }
        }
    }

    struct Texts: Sendable {
        let certificate: String
        let key: String
        let authorities: String?

        init(_ paths: Paths) throws(SecurityFileError) {
            certificate = try SecurityFile.read(paths.certificate)
            key = try SecurityFile.read(paths.key)
            authorities = try paths.authorities.map { path throws(SecurityFileError) in
                try SecurityFile.read(path)
            }
        }

        var digest: SHA256.Digest {
            SHA256.hash(data: Data([certificate, key, authorities ?? ""].joined(separator: "\0").utf8))
        }
    }

    private struct State {
        var loaded: LoadedSecurity
        var digest: SHA256.Digest
        /// What was wrong at the last look, and whether the log has it.
        var problem: (error: SecurityFileError, isLogged: Bool)?
    }

    /// How often the files are looked at: they are few and small.
    package static let lookEvery = Duration.seconds(5)

    package let paths: Paths
    package let purpose: Purpose
    private let clock: @Sendable () -> Date
    private let every: Duration
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads and checks the files.
    package init(
        _ paths: Paths, for purpose: Purpose, every: Duration = SecurityFiles.lookEvery,
        clock: @escaping @Sendable () -> Date = { Date() }, logger: Logger
    ) throws(SecurityFileError) {
        self.paths = paths
        self.purpose = purpose
        self.every = every
        self.clock = clock
        self.logger = logger
        let texts = try Texts(paths)
        let loaded = try LoadedSecurity(paths, texts: texts, purpose: purpose, now: clock())
        state = Mutex(State(loaded: loaded, digest: texts.digest, problem: nil))
    }

    var loaded: LoadedSecurity { state.withLock { $0.loaded } }

    /// The own certificate that new connections use.
    package var certificate: CertificateDetails { loaded.identity.details }

    /// All certificates without which nothing goes on: the own one, and the authorities trusted.
    package var certificates: [CertificateDetails] {
        let loaded = loaded
        return [loaded.identity.details] + (loaded.authorities?.details ?? [])
    }

    package func run() async throws {
        try await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                try await Task.sleep(for: every)
                look()
            }
        }
    }

    /// Looks whether the files have changed, and takes them when they can be used.
    ///
    /// A certificate and its key are two files, which nobody can replace at once: what does not fit is looked at once
    /// more before it is called wrong.
    package func look() {
        do throws(SecurityFileError) {
            let texts = try Texts(paths)
            let digest = texts.digest
            guard state.withLock({ $0.digest != digest }) else {
                return state.withLock { $0.problem = nil }
            }
            let loaded = try LoadedSecurity(paths, texts: texts, purpose: purpose, now: clock())
            state.withLock { $0 = State(loaded: loaded, digest: digest, problem: nil) }
            let details = loaded.identity.details
            logger.notice(
                "New certificate files are in use",
                metadata: [
                    "certificate.purpose": "\(purpose.rawValue)", "certificate.subject": "\(details.subject)",
                    "certificate.fingerprint": "\(details.fingerprint)",
                    "certificate.daysLeft": "\(details.daysLeft(at: clock()))",
                ])
        } catch {
            note(error)
        }
    }

    private func note(_ error: SecurityFileError) {
        let isNews = state.withLock { state in
            guard let problem = state.problem, problem.error == error else {
                state.problem = (error, false)
                return false
            }
            state.problem = (error, true)
            return !problem.isLogged
        }
        guard isNews else { return }
        logger.error(
            "New certificate files cannot be used; the old certificate stays in use",
            metadata: [
                "certificate.purpose": "\(purpose.rawValue)", "certificate.problem": "\(error)",
                "certificate.subject": "\(certificate.subject)",
                "certificate.daysLeft": "\(certificate.daysLeft(at: clock()))",
            ])
    }
}
