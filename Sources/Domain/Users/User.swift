/// A person who can log in.
package struct User: Sendable, Hashable {
    package typealias ID = Identifier<User>

    package let id: ID
    package let customer: Customer.ID
    package let login: String
    package let name: String

    package init(id: ID, customer: Customer.ID, login: String, name: String) {
        self.id = id
        self.customer = customer
        self.login = login
        self.name = name
    }
}

/// An organisation on this installation: users, threads and the log belong to exactly one.
package struct Customer: Sendable, Hashable {
    package typealias ID = Identifier<Customer>

    package let id: ID
    package let name: String

    package init(id: ID, name: String) {
        self.id = id
        self.name = name
    }
}

/// A phone, browser or integration that a user logs in with.
package struct Device: Sendable, Hashable {
    package typealias ID = Identifier<Device>

    package let id: ID
    package let name: String

    package init(id: ID, name: String) {
        self.id = id
        self.name = name
    }
}
