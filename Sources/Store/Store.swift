package import Domain
package import SQLDatabase

/// Every SQL statement of the product, as whole actions over one database.
package struct Store: Sendable {
    package let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }
}

extension Identifier: SQLBindable {
    package var sqlValue: SQLValue { .integer(rawValue) }
}

extension Token128: SQLBindable {
    package var sqlValue: SQLValue { .blob(bytes) }
}

extension SQLRow {
    /// The id in a column that is never null.
    func id<Subject>(_ column: Int, as subject: Subject.Type = Subject.self) throws -> Identifier<Subject> {
        Identifier(rawValue: try int(column))
    }

    func idOrNil<Subject>(_ column: Int, as subject: Subject.Type = Subject.self) throws -> Identifier<
        Subject
    >? {
        try intOrNil(column).map(Identifier.init(rawValue:))
    }

    func token(_ column: Int) throws -> Token128 {
        guard let token = Token128(bytes: try bytes(column)) else {
            throw SQLError.unexpectedValue(column: "\(column)", expected: "16 bytes")
        }
        return token
    }
}

/// What the store refuses as a matter of rules rather than of the database's health.
package enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// This server holds its slot no longer, or another process registered as it; it must serve nothing more under it.
    case superseded
    case noSuchCustomer(String)
    case nameTaken(String)
    case noSuchServer(String)
    case serverIsRunning(String)
    case serverIsStopped(String)
    case noSlot(String)
    /// The licence does not allow it; the sentence says what to do.
    case licence(String)

    package var description: String {
        switch self {
        case .superseded:
            "This server's slot went to another one, or another process has started as this server."
        case .noSuchCustomer(let name):
            "There is no customer named '\(name)'. `asm customer add \(ShellText(name))` makes one."
        case .nameTaken(let name): "'\(name)' exists already; choose another name."
        case .noSuchServer(let name): "There is no server '\(name)'; `asm servers` lists them."
        case .serverIsStopped(let name): "Server '\(name)' has stopped already."
        case .serverIsRunning(let name):
            "Server '\(name)' was heard of a moment ago: stop it first (`asm drain`, or SIGTERM), then repeat this."
        case .noSlot(let name): "Server '\(name)' holds no High Availability license slot."
        case .licence(let sentence): sentence
        }
    }
}

extension SQL.StringInterpolation {
    /// An absent value becomes NULL.
    mutating func appendInterpolation<Value: SQLBindable>(_ value: Value?) {
        appendInterpolation(value.map(\.sqlValue) ?? .null)
    }
}
