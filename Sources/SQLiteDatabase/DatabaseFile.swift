import Foundation
import GRDB
import SQLDatabase

/// What can be wrong with a path before SQLite opens it, told so that the reader knows what to do.
enum DatabaseFile {
    private static let magic = Array("SQLite format 3\0".utf8)

    static func check(_ path: String) throws {
        let files = FileManager.default
        let folder = (path as NSString).deletingLastPathComponent
        let parent = folder.isEmpty ? "." : folder
        var isFolder: ObjCBool = false
        guard files.fileExists(atPath: parent, isDirectory: &isFolder), isFolder.boolValue else {
            throw SQLError.misconfigured("the folder of the database, \(parent), does not exist: create it")
        }
        guard files.isWritableFile(atPath: parent) else {
            throw SQLError.misconfigured(
                "the folder \(parent) cannot be written: SQLite keeps files beside \(path)")
        }
        guard files.fileExists(atPath: path, isDirectory: &isFolder) else { return }
        guard !isFolder.boolValue else {
            throw SQLError.misconfigured("\(path) is a folder; name the database's file")
        }
        guard files.isReadableFile(atPath: path), files.isWritableFile(atPath: path) else {
            throw SQLError.misconfigured(
                "\(path) cannot be read and written by this user: change its owner or mode")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw SQLError.misconfigured("\(path) cannot be opened")
        }
        let start = try handle.read(upToCount: magic.count) ?? Data()
        try handle.close()
        guard start.isEmpty || Array(start) == magic else { throw notADatabase(path) }
    }

    /// Takes the file from the eyes of other accounts of this machine: a new one is its owner's alone, an older one keeps
    /// what its owner's group may. SQLite gives the files beside it the mode of the database.
    static func guardFromOthers(_ path: String) {
        let files = FileManager.default
        if !files.fileExists(atPath: path) {
            _ = files.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        for file in [path, path + "-wal", path + "-shm"] {
            // One that is absent, or another account's, is as SQLite finds it.
            guard let mode = try? files.attributesOfItem(atPath: file)[.posixPermissions] as? Int,
                mode & 0o007 != 0
            else { continue }
            try? files.setAttributes([.posixPermissions: mode & ~0o007], ofItemAtPath: file)
        }
    }

    static func openingError(_ error: DatabaseError, path: String) -> SQLError {
        let message = error.message ?? "SQLite gives no reason"
        return switch error.resultCode {
        case .SQLITE_NOTADB, .SQLITE_CORRUPT: notADatabase(path)
        case .SQLITE_READONLY: .readOnly("\(path): \(message)")
        case .SQLITE_FULL: .diskFull("\(path): \(message)")
        default: .misconfigured("\(path) cannot be opened as a database: \(message)")
        }
    }

    private static func notADatabase(_ path: String) -> SQLError {
        .misconfigured(
            "\(path) is not a usable SQLite database: name another file, or restore it from a backup")
    }
}
