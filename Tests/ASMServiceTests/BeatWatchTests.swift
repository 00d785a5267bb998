import ASMService
import Domain
import Testing

/// A database with one other server, looked at as often as a watch does it.
private struct Watching {
    var times = ClusterTimes()
    var watch: BeatWatch
    var now = ContinuousClock.now
    var beat: Int64 = 1
    var boot = Token128.random()
    var inactiveSeconds: Int64 = 0
    var stoppedAt: Timestamp?
    var open: Set<IncidentKind> = []
    /// What was due, with the second at which it was first.
    var due: [IncidentKind: Int] = [:]
    private var second = 0

    init() { watch = BeatWatch(times: times) }

    /// Time passes; the other server beats or not, and looking succeeds or not.
    mutating func pass(_ seconds: Int, beats: Bool, looks: Bool = true) {
        for _ in 0..<seconds {
            second += 1
            now += .seconds(1)
            inactiveSeconds += 1
            if beats {
                beat += 1
                if second % 60 == 0 { inactiveSeconds = 0 }
            }
            if looks, second % 5 == 0 { look() }
        }
    }

    private mutating func look() {
        let server = ServerRecord(
            id: 2, address: "b:1", version: "1", boot: boot, beat: beat, silentMicroseconds: 0,
            inactiveMicroseconds: inactiveSeconds * 1_000_000, said: "active", reason: "",
            startedAt: Timestamp(microseconds: 0), lastActive: Timestamp(microseconds: 0),
            stoppedAt: stoppedAt, isDrainRequested: false, slot: nil, incidents: open)
        for (kind, _) in watch.look(at: [server], own: 1, now: now) where due[kind] == nil {
            due[kind] = second
        }
    }
}

@Suite("Watching beats")
struct BeatWatchTests {
    @Test("A server that beats is never due, however old its Last Active seems")
    func beats() {
        var watching = Watching()
        watching.inactiveSeconds = 100_000
        watching.pass(59, beats: true)
        #expect(watching.due.isEmpty)
    }

    @Test(
        "A server that falls silent is unreachable after 15 s, and inactive when Last Active is 10 minutes old"
    )
    func silent() {
        var watching = Watching()
        watching.pass(300, beats: true)
        watching.pass(700, beats: false)
        #expect(watching.due[.unreachable] == 315)
        #expect(watching.due[.inactive] == 905)
    }

    @Test("A Last Active that lies ahead, because the clock was set back, is no proof of life")
    func ahead() {
        var watching = Watching()
        watching.inactiveSeconds = -100_000
        watching.pass(300, beats: false)
        #expect(watching.due[.inactive] != nil)
    }

    @Test("Nothing is due for what is open already")
    func open() {
        var watching = Watching()
        watching.open = [.inactive, .unreachable]
        watching.pass(2_000, beats: false)
        #expect(watching.due.isEmpty)
    }

    @Test("A jump of the database's clock by 11 minutes brings nothing against a server that lives (F34)")
    func clockJump() {
        var watching = Watching()
        watching.pass(100, beats: true)
        watching.inactiveSeconds += 660
        watching.pass(10, beats: true)
        #expect(watching.due.isEmpty)
    }

    @Test(
        "After an outage of the database of 12 minutes a server that comes back within 10 s is not due (F51)")
    func databaseOutage() {
        var watching = Watching()
        watching.pass(100, beats: true)
        watching.pass(720, beats: false, looks: false)
        watching.pass(10, beats: false)
        watching.pass(600, beats: true)
        #expect(watching.due.isEmpty)
    }

    @Test(
        "One that does not come back after the outage is due after three sightings, two minutes later (F50)")
    func goneDuringOutage() {
        var watching = Watching()
        watching.pass(100, beats: true)
        watching.pass(720, beats: false, looks: false)
        watching.pass(200, beats: false)
        // The first look after the outage is at 825.
        #expect(watching.due[.inactive] == 825 + 120)
        #expect(watching.due[.unreachable] == 825 + 15)
    }

    @Test("An observer that stood still for an hour sees nothing at once")
    func ownPause() {
        var watching = Watching()
        watching.pass(100, beats: true)
        watching.inactiveSeconds += 3_600
        watching.now += .seconds(3_600)
        watching.pass(100, beats: false)
        #expect(watching.due[.inactive] == nil)
    }

    @Test("A server that flaps, up for 30 s and down for 30 s, is unreachable at most, never inactive (F52)")
    func flapping() {
        var watching = Watching()
        for _ in 0..<60 {
            watching.pass(30, beats: true)
            watching.pass(30, beats: false)
            watching.boot = .random()
        }
        #expect(watching.due[.inactive] == nil)
    }

    @Test("A server that was stopped in order is not unreachable; forgotten for 10 minutes, it is inactive")
    func stopped() {
        var watching = Watching()
        watching.stoppedAt = Timestamp(microseconds: 1)
        watching.pass(700, beats: false)
        #expect(watching.due[.unreachable] == nil)
        #expect(watching.due[.inactive] == 605)
    }
}
