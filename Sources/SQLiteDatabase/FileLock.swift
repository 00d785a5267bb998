import Foundation
import Glibc
import SQLDatabase
import Synchronization

/// The lock that keeps a second process off the database's file; the kernel drops it when the process ends.
///
/// The file stays behind on purpose: removing it would race with another process that is about to lock it.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32?>

    init(path: String, guarding database: String) throws {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw SQLError.misconfigured(
                "the lock file \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            _ = Glibc.close(file)
            throw SQLError.misconfigured("\(database) is in use by another asm process: stop that one first")
        }
        descriptor = Mutex(file)
    }

    func release() {
        descriptor.withLock { file in
            if let open = file { _ = Glibc.close(open) }
            file = nil
        }
    }

    deinit { release() }
}
