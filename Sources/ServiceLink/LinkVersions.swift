import Failpoints

/// Which versions of the link's protocol a program speaks, and which one two programs agree on.
///
/// Each end says the newest that it speaks and the oldest that it understands; they use the lower of the two newest. What
/// a newer one adds within a version (fields, kinds of frames, kinds of requests) the older one passes over or answers
/// with `unsupported`: never by closing the connection.
package struct LinkVersions: Hashable, Sendable, CustomStringConvertible {
    package let oldest: UInt32
    package let newest: UInt32

    package init(oldest: UInt32, newest: UInt32) {
        self.oldest = oldest
        self.newest = newest
    }

    /// What this program speaks.
    package static let ours: LinkVersions = {
        #if FAILPOINTS
            if NextVersion.isRunning { return NextLink.versions }
        #endif
        return LinkVersions(oldest: 1, newest: 1)
    }()

    /// What the peer's first frame says; one that names no oldest version speaks only one.
    init(_ hello: LinkHello) {
        newest = hello.version
        oldest = hello.oldestVersion == 0 ? hello.version : hello.oldestVersion
    }

    /// The version that both speak; nil when there is none.
    package func agreed(with other: LinkVersions) -> UInt32? {
        let version = min(newest, other.newest)
        return version > 0 && version >= max(oldest, other.oldest) ? version : nil
    }

    package var description: String { oldest == newest ? "\(newest)" : "\(oldest) to \(newest)" }
}

extension LinkHello {
    /// The first frame of either end.
    init(name: String, software: String, versions: LinkVersions) {
        self.init()
        version = versions.newest
        oldestVersion = versions.oldest
        self.name = name
        self.software = software
    }
}
