import Domain
import SQLDatabase

extension EventReport {
    static func userLockedOut(
        login: String, customer: Customer.ID, failures: Int64, minutes: Int64
    ) -> EventReport {
        EventReport(
            event: .userLockedOut,
            summary: "The account '\(login)' has been locked after \(failures) wrong passwords in a row.",
            details: """
                It takes log-ins again after \(minutes) minutes, by itself. Ask the user: if these were not typing \
                mistakes, somebody is guessing the password.
                """,
            customer: customer)
    }

    static func deviceRegistered(_ device: Device, by user: User) -> EventReport {
        EventReport(
            event: .deviceRegistered,
            summary: "'\(user.login)' has logged in on a new device, '\(device.name)'.",
            details:
                "Device \(device.id). If the user does not know it, end its sessions and change the password.",
            customer: user.customer)
    }
}

extension SQLSession {
    /// Raises *Device Conflict* when somebody logs in as the device of another; at most once a day for the two.
    func tellConflict(over device: Device.ID, of user: User, at now: Int64) throws {
        let owner = try run(
            """
            SELECT u.login, u.customer_id, d.name FROM device d JOIN app_user u ON u.id = d.user_id
            WHERE d.id = \(device) AND d.user_id <> \(user.id)
            """
        ).first
        guard let owner else { return }
        // Who belongs to another customer is not named to this one.
        let isSame = try owner.id(1) == user.customer
        let name = isSame ? "'\(try owner.string(0))'" : "another customer's user"
        try raise(
            EventReport(
                event: .deviceConflict,
                summary: "'\(user.login)' has logged in as a device that belongs to \(name).",
                details: """
                    Device \(device)\(isSame ? ", '\(try owner.string(2).line(EventLimits.summaryBytes))'" : ""). It has been registered anew for \
                    '\(user.login)'. Two people who share a phone or a browser cause this; so does a copied device.
                    """,
                customer: user.customer, key: "\(device)/\(user.id)/\(now / 86_400_000_000)"))
    }
}
