import Testing

@testable import ASMClient

@Suite("The inbox as the client reads it")
struct InboxAnswerTests {
    @Test("a row has what is urgent and the position that orders it; an older server's row is read without")
    func rows() throws {
        let answer = """
            {"cursor":"0b2f9a64-2d55-4f3e-8a51-6e1f0f3c9d27.9","threads":[
            {"id":"7","lastNumber":5,"lastPosition":9,"lastShownPosition":8,"unread":3,"urgentUnread":2,"firstUnreadUrgent":4},
            {"id":"8","lastNumber":1,"lastPosition":7,"unread":0,
            "last":{"position":6,"thread":"8","number":1,"kind":"message","author":"3","at":1,"text":"a","priority":"normal"}}]}
            """

        let threads = try WebAnswer.read(Array(answer.utf8), WebAnswer.inbox).threads

        #expect(threads.map(\.lastShownPosition) == [8, 6])
        #expect(threads.map(\.urgentUnread) == [2, nil])
        #expect(threads.map(\.firstUnreadUrgent) == [4, nil])
    }
}
