import Domain
import Foundation
import ServiceLink
import Store

/// The link's forms of what the store returns.
extension LinkIdentity {
    init(_ record: SessionRecord) {
        self.init()
        user = LinkUser(record.user)
        customer = record.user.customer.rawValue
        customerName = record.customerName
        device = record.device.id.rawValue
        deviceName = record.device.name
    }
}

extension LinkUser {
    init(_ user: User) {
        self.init()
        id = user.id.rawValue
        login = user.login
        name = user.name
    }
}

extension LinkThread {
    init(_ view: ThreadView) {
        self.init()
        id = view.thread.id.rawValue
        subject = view.thread.subject.open
        closed = view.thread.isClosed
        lastNumber = view.thread.lastNumber
        lastPosition = view.thread.lastPosition
        delivered = view.delivered
        read = view.read
        unread = view.unread
        participants = view.participants.map { LinkParticipant($0) }
        participantCount = UInt32(clamping: view.participantCount)
        if let entry = view.last { last = LinkEntry(entry) }
        urgentUnread = UInt32(clamping: view.urgent.count)
        firstUnreadUrgent = view.urgent.first ?? 0
        lastShownPosition = view.thread.lastShownPosition
    }
}

extension LinkParticipant {
    init(_ member: ThreadMember) {
        self.init()
        user = LinkUser(member.user)
        joined = member.place.joinedNumber
        left = member.place.leftNumber ?? 0
        earlier = member.earlier.map { LinkStay($0) }
        delivered = member.place.delivered
        read = member.place.read
    }
}

extension LinkStay {
    init(_ stay: Stay) {
        self.init()
        (joined, left) = (stay.joined, stay.left)
    }
}

extension LinkInbox {
    init(_ page: InboxPage) {
        self.init()
        cursor = MarkedHead(head: page.head, mark: page.mark).cursor
        threads = page.threads.map { LinkThread($0) }
        next = page.next ?? 0
    }
}

extension LinkMessageReceipt {
    init(_ receipt: MessageReceipt) {
        self.init()
        user = LinkUser(receipt.user)
        deliveredAt = receipt.delivered?.microseconds ?? 0
        readAt = receipt.read?.microseconds ?? 0
        (delivered, read) = (receipt.isDelivered, receipt.isRead)
    }
}

extension LogIn {
    /// Logs in with the link's form of an attempt, and answers in it.
    func callAsFunction(_ attempt: LinkLogIn) async throws -> LinkLoggedIn {
        let (token, session) = try await turns.pass(attempt.address) {
            try await self(
                Attempt(
                    customer: attempt.customer.isEmpty ? nil : attempt.customer, login: attempt.login,
                    password: Sealed(attempt.password), deviceName: attempt.deviceName,
                    device: attempt.device == 0 ? nil : Device.ID(rawValue: attempt.device)))
        }
        var loggedIn = LinkLoggedIn()
        loggedIn.token = Data(token)
        loggedIn.session = session.id
        loggedIn.identity = LinkIdentity(session)
        loggedIn.expiresAt = session.expiresAt.microseconds
        return loggedIn
    }
}
