import Foundation
import ServiceLink
import Testing

@testable import WebService

@Suite("Rows of the inbox")
struct InboxRowTests {
    @Test("a row says what is urgent and unread, and by which position it is ordered")
    func saysUrgent() throws {
        var thread = LinkThread()
        thread.lastPosition = 815
        thread.lastShownPosition = 812
        thread.urgentUnread = 2
        thread.firstUnreadUrgent = 4

        let row = try json(thread)

        #expect(row["urgentUnread"] as? Int == 2)
        #expect(row["firstUnreadUrgent"] as? Int == 4)
        #expect(row["lastShownPosition"] as? Int == 812)
        #expect(row["lastPosition"] as? Int == 815)
    }

    @Test("none is said as none, and nothing is said for a server that does not count them")
    func leavesOut() throws {
        var none = LinkThread()
        none.urgentUnread = 0
        var older = LinkThread()
        older.last.position = 640

        let said = try json(none)
        let unsaid = try json(older)

        #expect(said["urgentUnread"] as? Int == 0)
        #expect(said["firstUnreadUrgent"] == nil)
        #expect(unsaid["urgentUnread"] == nil)
        #expect(unsaid["lastShownPosition"] as? Int == 640)
    }

    private func json(_ thread: LinkThread) throws -> [String: Any] {
        let body = ThreadBody(thread) { NamedBody(id: "\($0.user.id)", name: $0.user.name) }
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(body))
        return try #require(object as? [String: Any])
    }
}
