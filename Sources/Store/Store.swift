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
    /// Another process registered as this server since; this one must serve nothing any more.
    case superseded
    case noSuchCustomer(String)
    case nameTaken(String)

    package var description: String {
        switch self {
        case .superseded: "Another process has started as this server; this one must stop serving."
        case .noSuchCustomer(let name):
            "There is no customer named '\(name)'. `asm customer add \(name)` makes one."
        case .nameTaken(let name): "'\(name)' exists already; choose another name."
        }
    }
}

extension SQL.StringInterpolation {
    /// An absent value becomes NULL.
    mutating func appendInterpolation<Value: SQLBindable>(_ value: Value?) {
        appendInterpolation(value.map(\.sqlValue) ?? .null)
    }
}
