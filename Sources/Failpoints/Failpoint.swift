#if FAILPOINTS
    import Glibc
#endif

/// A place at which a test can make the program die, stop, wait or fail.
///
/// Armed by `ASM_FAILPOINT`, or while the program runs by the file that `ASM_FAILPOINT_FILE` names, in the words of
/// `FailpointPlan`. A release build has none of it: `reach` is empty there and inlines away.
package enum Failpoint: Sendable {
    /// A change to a log is about to be given to the database.
    case beforeBegin
    /// The entries are written, the heads of threads and log are not (SQLite, and rare changes on PostgreSQL).
    case afterInsert
    /// All is written, and the commit comes next (where `afterInsert` is; a PostgreSQL append is one statement).
    case beforeCommit
    /// The change is committed, and nobody has been told.
    case afterCommit
    /// A licence slot or mails of the outbox are claimed, and nothing is done with them yet.
    case afterClaim
    /// A mail server took a message, and that is not noted yet.
    case afterSMTP250
    /// An object was put into the archive, and that is not noted yet. For the archive to come: reached nowhere yet.
    case afterPut
    /// What is archived is about to be removed. As `afterPut`, reached nowhere yet.
    case beforePurge
}

#if FAILPOINTS
    extension Failpoint: CaseIterable {
        package var name: String {
            switch self {
            case .beforeBegin: "before_begin"
            case .afterInsert: "after_insert"
            case .beforeCommit: "before_commit"
            case .afterCommit: "after_commit"
            case .afterClaim: "after_claim"
            case .afterSMTP250: "after_smtp_250"
            case .afterPut: "after_put"
            case .beforePurge: "before_purge"
            }
        }

        /// Does what is armed for this place; waiting blocks the thread, as inside a transaction it must.
        /// - Parameter error: what is thrown where the place was told to fail.
        package static func reach(_ point: Failpoint, throwing error: @autoclosure () -> any Error) throws {
            try act(point, error: error) { usleep($0 * 1_000) }
        }

        /// As the blocking form; waiting leaves the thread to others.
        package static func reach(
            _ point: Failpoint, throwing error: @autoclosure () -> any Error
        ) async throws {
            var pause: UInt32 = 0
            try act(point, error: error) { pause = $0 }
            // Cancelled only at shutdown: then there is no reason to wait.
            if pause > 0 { try? await Task.sleep(for: .milliseconds(Int64(pause))) }
        }

        private static func act(
            _ point: Failpoint, error: () -> any Error, wait: (_ milliseconds: UInt32) -> Void
        ) throws {
            guard let action = ArmedFailpoints.shared.action(at: point) else { return }
            tell("Failpoint \(point.name): \(action)")
            switch action {
            case .kill: _ = Glibc.kill(getpid(), SIGKILL)
            case .stop: _ = Glibc.kill(getpid(), SIGSTOP)
            case .sleep(let milliseconds): wait(milliseconds)
            case .error: throw error()
            }
        }
    }
#else
    extension Failpoint {
        /// Nothing, in a release build.
        @inlinable @inline(__always)
        package static func reach(_ point: Failpoint, throwing error: @autoclosure () -> any Error) throws {}

        /// Nothing, in a release build.
        @inlinable @inline(__always)
        package static func reach(
            _ point: Failpoint, throwing error: @autoclosure () -> any Error
        ) async throws {}
    }
#endif
