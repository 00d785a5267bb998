import Testing

@testable import SystemSupport

/// Tests of the whole system with real processes. They wait more than they work, so `make test` runs several at once.
@Suite("The whole system", .timeNoted)
enum SystemTests {}

/// Tests of the whole system that measure less than a second or take all that the machine has, and so run alone.
@Suite("The whole system, timed", .serialized, .timeNoted)
enum TimedTests {}

/// Tests of single commands, which need no other process for long.
@Suite("Commands", .timeNoted)
enum CommandTests {}
