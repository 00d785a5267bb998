package import Domain
import SQLDatabase
import Store

/// Finds out whether a process that is alive is registered under a name, before another one takes the name over.
///
/// Two machines with one name in their settings would otherwise push each other out.
struct IdentityCheck: Sendable {
    /// Beats that a living process has time for while it is watched.
    static let beats = 2
    /// Looks within the time between two beats.
    static let looksPerBeat = 4

    let store: Store
    let times: ClusterTimes

    init(store: Store, times: ClusterTimes) {
        self.store = store
        self.times = times
    }

    /// - Throws: `ServerIdentityInUse`.
    func callAsFunction(_ name: String) async throws {
        // SQLite's file has one owner, who is this process.
        guard store.database.engine == .postgres, let first = try await holder(of: name),
            first.stoppedAt == nil
        else { return }
        // After an outage of the database a living process looks silent; one that is silent for so long is not.
        guard first.silentMicroseconds < times.inactiveAfter.microseconds else { return }
        for _ in 0..<(Self.beats * Self.looksPerBeat) {
            try await Task.sleep(for: times.beatEvery / Self.looksPerBeat)
            guard let now = try await holder(of: name), now.stoppedAt == nil else { return }
            if now.beat != first.beat || now.boot != first.boot { throw ServerIdentityInUse(holder: now) }
        }
    }

    private func holder(of name: String) async throws -> ServerRecord? {
        try await store.servers().first { $0.address == name }
    }
}

/// A server cannot start, because another process is running as it.
package struct ServerIdentityInUse: Error, CustomStringConvertible {
    package let holder: ServerRecord

    package var description: String {
        """
        another process is running as server '\(holder.address)' (\(holder.version), started at \
        \(CalendarTime(holder.startedAt).text)): two servers cannot be one. Give this one a name of its own \
        (--name HOST:PORT), or stop the other; --take-over pushes it out
        """
    }
}
