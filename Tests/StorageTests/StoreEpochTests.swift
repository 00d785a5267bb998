import Domain
import Store
import TestSupport
import Testing

@Suite("A restored log", .serialized)
struct StoreEpochTests {
    @Test(
        "A new epoch is given to the one log, or to all, and the log goes on", arguments: TestEngine.allCases)
    func newEpoch(_ engine: TestEngine) async throws {
        try await withStore(on: engine) { test in
            let other = try await test.store.addCustomer(named: "Another")
            let before = try await heads(of: [test.customer, other], test.store)

            #expect(try await test.store.beginNewEpoch(of: other.id) == 1)
            let one = try await heads(of: [test.customer, other], test.store)
            #expect(try await test.store.beginNewEpoch(of: nil) == 2)
            let both = try await heads(of: [test.customer, other], test.store)

            #expect(one[0].epoch == before[0].epoch && one[1].epoch != before[1].epoch)
            #expect(both[0].epoch != one[0].epoch && both[1].epoch != one[1].epoch)
            #expect(both[0].epoch != both[1].epoch)
            #expect(both.map(\.position) == before.map(\.position))
        }
    }

    private func heads(of customers: [Customer], _ store: Store) async throws -> [LogHead] {
        var heads: [LogHead] = []
        for customer in customers {
            heads.append(try await store.head(of: customer.id))
        }
        return heads
    }
}
