import Domain
import Foundation

/// Where a client keeps its `SavedState` over restarts.
///
/// `save` is called before a message counts as accepted into the outbox; it must not return before the state
/// is safe.
public struct StateStore: Sendable {
    public var load: @Sendable () throws -> SavedState
    public var save: @Sendable (SavedState) throws -> Void
    /// Whether `save` does anything at all.
    var isDurable = true

    public init(
        load: @escaping @Sendable () throws -> SavedState,
        save: @escaping @Sendable (SavedState) throws -> Void
    ) {
        self.load = load
        self.save = save
    }

    /// Keeps nothing: for programs that run once.
    public static let memory = {
        var store = StateStore(load: { SavedState() }, save: { _ in })
        store.isDurable = false
        return store
    }()

    /// Keeps the state in a file that is replaced as a whole, readable by its owner only.
    ///
    /// A stop at any moment leaves the old state or the new one. A missing file is an empty state; one that
    /// cannot be read is an error, because starting empty would silently drop the messages waiting in it.
    public static func file(at path: String) -> StateStore {
        StateStore(
            load: {
                guard FileManager.default.fileExists(atPath: path) else { return SavedState() }
                return try SavedState(json: Array(try Data(contentsOf: URL(fileURLWithPath: path))))
            },
            save: { try replace(path, with: $0.json) })
    }

    private static func replace(_ path: String, with bytes: [UInt8]) throws {
        let new = path + ".new"
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        guard FileManager.default.createFile(atPath: new, contents: nil, attributes: attributes) else {
            throw MessagingError(.internalError, "The file \(new) cannot be written.")
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: new))
        defer { try? file.close() }  // Written and synchronized by then; closing cannot lose anything.
        try file.write(contentsOf: Data(bytes))
        try file.synchronize()
        guard rename(new, path) == 0 else {
            throw MessagingError(.internalError, "The file \(path) cannot be replaced.")
        }
    }
}
