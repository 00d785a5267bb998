package import Domain
import SQLDatabase

extension Store {
    /// Adds a customer and starts its log.
    /// - Throws: `StoreError.nameTaken`.
    package func addCustomer(named name: String) async throws -> Customer {
        let customer = Customer(id: .random(), name: name)
        try await naming(name) {
            try await database.write { session in
                try session.run(
                    "INSERT INTO customer (id, name, created_at) VALUES (\(customer.id), \(name), \(.now))")
                try session.run(
                    "INSERT INTO log_head (customer_id, epoch) VALUES (\(customer.id), \(LogEpoch.random()))")
            }
        }
        return customer
    }

    package func customer(named name: String) async throws -> Customer {
        let row = try await database.query("SELECT id, name FROM customer WHERE name = \(name)").first
        guard let row else { throw StoreError.noSuchCustomer(name) }
        return Customer(id: try row.id(0), name: try row.string(1))
    }

    /// Adds a user, with the hash of the password in PHC string form.
    /// - Throws: `StoreError.nameTaken`, `StoreError.licence` when the licence takes no more users.
    package func addUser(
        login: String, name: String, passwordHash: Sealed<String>, to customer: Customer.ID
    ) async throws -> User {
        let user = User(id: .random(), customer: customer, login: login, name: name)
        let locks = database.engine == .postgres
        do {
            try await naming(login) {
                try await database.write { session in
                    try session.checkLicenceTakesUser(locks: locks)
                    try session.run(
                        """
                        INSERT INTO app_user (id, customer_id, login, name, password_hash, created_at)
                        VALUES (\(user.id), \(customer), \(login), \(name), \(passwordHash.open), \(.now))
                        """)
                }
            }
        } catch StoreError.licence(let words) {
            // What a refused transaction raised would be gone with it. Whoever asked is told why in any case.
            try? await database.write { try $0.reportLicence(refused: true) }
            throw StoreError.licence(words)
        }
        return user
    }

    /// The users of a customer with these logins; logins that do not exist are left out.
    package func users(of customer: Customer.ID, logins: [String]) async throws -> [User] {
        try await database.read { session in
            try logins.compactMap { login in
                let row = try session.run(
                    """
                    SELECT id, customer_id, login, name FROM app_user
                    WHERE customer_id = \(customer) AND login = \(login) AND disabled = 0
                    """
                ).first
                return try row.map(user)
            }
        }
    }

    /// The customer's users whose login or name contains a text, in order of name.
    package func users(of customer: Customer.ID, containing text: String, limit: Int) async throws -> [User] {
        let pattern = "%" + text.lowercased().replacingLikeWildcards + "%"
        let rows = try await database.query(
            """
            SELECT id, customer_id, login, name FROM app_user
            WHERE customer_id = \(customer) AND disabled = 0
                AND (lower(name) LIKE \(pattern) ESCAPE '!' OR lower(login) LIKE \(pattern) ESCAPE '!')
            ORDER BY name, id LIMIT \(limit)
            """, on: .reads)
        return try rows.map(user)
    }

    /// Turns a violated uniqueness into an error that names what is taken.
    private func naming<Value>(_ name: String, _ work: () async throws -> Value) async throws {
        do { _ = try await work() } catch SQLError.constraint { throw StoreError.nameTaken(name) }
    }
}

extension String {
    fileprivate var replacingLikeWildcards: String {
        reduce(into: "") { text, character in
            if character == "%" || character == "_" || character == "!" { text.append("!") }
            text.append(character)
        }
    }
}

/// Reads `id, customer_id, login, name`.
func user(_ row: SQLRow) throws -> User {
    User(id: try row.id(0), customer: try row.id(1), login: try row.string(2), name: try row.string(3))
}
