import Domain
import Foundation
import Synchronization

@testable import SystemSupport

/// People in pairs, and one group, who write at a steady rate through the balancer while things break.
final class Crowd: Sendable {
    /// How many messages one person has on their way at most.
    private static let lanes = 4
    /// How long a message may take, over everything that breaks.
    private static let patience = Duration.seconds(100)
    private static let groupSize = 6
    private static let filler = String(repeating: "ward round ", count: 18)

    let people: [Person]
    let talks: [Talk]
    let record = Record()
    private let isOver = Atomic(false)

    init(_ people: [Person], at web: Web) async throws {
        self.people = people
        var talks: [Talk] = []
        for index in stride(from: 0, to: people.count - 1, by: 2) {
            talks.append(try await Talk([people[index], people[index + 1]], at: web))
        }
        talks.append(try await Talk(Array(people.prefix(Self.groupSize)), at: web))
        self.talks = talks
    }

    /// Waits until everybody is connected.
    func untilWelcome() async throws {
        for person in people {
            try await person.state.until("\(person.name) should be welcome") { $0.isWelcome ? true : nil }
        }
    }

    /// Everybody writes, so many messages a second in all, until `stop`; ends when all are answered.
    func write(perSecond rate: Int) async {
        let pause = Duration.seconds(1) * (Double(people.count * Self.lanes) / Double(rate))
        await withDiscardingTaskGroup { tasks in
            for (index, person) in people.enumerated() {
                for lane in 0..<Self.lanes {
                    let isForGroup = lane == 0 && index < Self.groupSize
                    let thread = talks[isForGroup ? talks.count - 1 : index / 2].thread
                    tasks.addTask { await self.write(as: person, to: thread, each: pause) }
                }
            }
        }
    }

    private func write(as person: Person, to thread: MessageThread.ID, each pause: Duration) async {
        // Not all at once.
        var next = ContinuousClock.now + pause * Double.random(in: 0..<1)
        while !isOver.load(ordering: .relaxed), !Task.isCancelled {
            // Cancelled when the row has taken too long.
            try? await Task.sleep(until: next)
            await person.insist(Self.filler, to: thread, in: record, for: Self.patience)
            // What could not be sent in time is not made up for.
            next = max(next + pause, .now)
        }
    }

    func stop() { isOver.store(true, ordering: .relaxed) }
}
