import Testing

/// Rows of the failover matrix on a deployment with a network of its own, one after another.
@Suite("Failover", .serialized)
enum FailoverTests {}
