import Foundation
import Glibc

/// A file system in memory with little room.
struct SmallDisk {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let path: String

    init(_ path: String, megabytes: Int) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            throw Failure(
                description: "tmpfs was not mounted at \(path): \(String(cString: strerror(errno)))")
        }
    }

    func resize(megabytes: Int) throws {
        guard mount("tmpfs", path, "tmpfs", UInt(MS_REMOUNT), "size=\(megabytes)m") == 0 else {
            throw Failure(description: "\(path) was not resized: \(String(cString: strerror(errno)))")
        }
    }

    /// Takes all room but this much, until `makeRoom`.
    func fill(leavingMegabytes: Int) throws {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            throw Failure(description: "There is no \(path)")
        }
        let free = Int(status.f_bavail) * Int(status.f_frsize) - leavingMegabytes << 20
        let filler = open(path + "/filler", O_CREAT | O_WRONLY, 0o600)
        defer { close(filler) }
        guard filler >= 0, posix_fallocate(filler, 0, max(free, 1)) == 0 else {
            throw Failure(description: "\(path) cannot be filled")
        }
    }

    func makeRoom() { unlink(path + "/filler") }

    func remove() { _ = umount2(path, Int32(MNT_DETACH)) }
}
