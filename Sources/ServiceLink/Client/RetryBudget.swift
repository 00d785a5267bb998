import NIOCore

/// How many retries may still be made: a share of the recent requests, and a few whatever their number.
///
/// It keeps retries from multiplying the load of servers that refuse because they have too much of it.
struct RetryBudget {
    private struct Window {
        var requests = 0
        var retries = 0
    }

    private let percent: Int
    private let floor: Int
    private let length: TimeAmount
    private var end = NIODeadline.uptimeNanoseconds(0)
    private var current = Window()
    private var previous = Window()

    init(limits: LinkLimits) {
        percent = limits.retryPercent
        floor = limits.retryFloor
        length = TimeAmount(limits.retryWindow)
    }

    mutating func countRequest() { current.requests += 1 }

    /// Lets the oldest window go when its time has come; to be called often.
    mutating func roll(at now: NIODeadline) {
        guard now >= end else { return }
        end = now + length
        previous = current
        current = Window()
    }

    /// Takes one retry from the budget; false when none is left.
    mutating func spend() -> Bool {
        let allowed = floor + (previous.requests + current.requests) * percent / 100
        guard previous.retries + current.retries < allowed else { return false }
        current.retries += 1
        return true
    }
}
