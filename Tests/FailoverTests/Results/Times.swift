@testable import SystemSupport

/// Durations that were measured, in milliseconds: how many, their median, 99th percentile and longest.
struct Times: Codable, Hashable, Sendable {
    let count: Int
    let p50: Int
    let p99: Int
    let max: Int

    init(_ durations: [Duration]) {
        let sorted = durations.map(\.wholeMilliseconds).sorted()
        count = sorted.count
        func rank(_ share: Double) -> Int {
            sorted.isEmpty
                ? 0 : sorted[min(sorted.count - 1, Int((Double(sorted.count) * share).rounded(.down)))]
        }
        p50 = rank(0.5)
        p99 = rank(0.99)
        max = sorted.last ?? 0
    }
}

extension Duration {
    var wholeMilliseconds: Int {
        Int(components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000)
    }
}

extension Crowd {
    /// For each person and each injection: the longest time between two of their acknowledgements in a row that
    /// ended after it, and began before the next.
    func gaps(after injections: [ContinuousClock.Instant]) -> [Duration] {
        people.flatMap { Self.gaps(in: $0.state.value.acknowledgements.sorted(), after: injections) }
    }

    /// The same for all people together: how long nobody got an acknowledgement.
    func silences(after injections: [ContinuousClock.Instant]) -> [Duration] {
        Self.gaps(in: people.flatMap(\.state.value.acknowledgements).sorted(), after: injections)
    }

    private static func gaps(
        in times: [ContinuousClock.Instant], after injections: [ContinuousClock.Instant]
    ) -> [Duration] {
        injections.indices.compactMap { index in
            let start = injections[index]
            let end = index + 1 < injections.count ? injections[index + 1] : nil
            return zip(times, times.dropFirst()).filter { before, after in
                after > start && end.map { before < $0 } ?? true
            }.map { $1 - $0 }.max()
        }
    }

    /// For everybody who lost the connection after an injection: how long until the next welcome.
    func absences(after start: ContinuousClock.Instant) -> [Duration] {
        people.flatMap { person -> [Duration] in
            let state = person.state.value
            return state.endTimes.filter { $0 > start }.compactMap { end in
                state.welcomeTimes.first { $0 > end }.map { $0 - end }
            }
        }
    }

    /// How often people connected anew.
    var reconnects: Int { people.map { max(0, $0.state.value.welcomes - 1) }.reduce(0, +) }
}
