import Testing

/// Tests with real processes, one after another: they take the machine for themselves and measure time.
@Suite("The whole system", .serialized)
enum SystemTests {}
