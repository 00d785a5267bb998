#if FAILPOINTS
    /// A known mistake that a debug build can be told to make (`ASM_MUTANT=NAME`), so that the checkers can be checked.
    ///
    /// Each breaks one promise on purpose, at the smallest place where that mistake would be made; a checker that lets it
    /// pass is broken itself. A release build has none of them.
    package enum Mutant: String, CaseIterable, Sendable {
        /// A repeated request is not recognised.
        case noDedupe = "no-dedupe"
        /// The promise is made before the commit.
        case ackBeforeCommit = "ack-before-commit"
        /// A repeat is answered by reading, so that nothing waits for the standby.
        case replayWithoutWrite = "replay-without-write"
        /// Places are given out before the lock, and a follower trusts their order.
        case sequenceCursor = "sequence-cursor"
        /// A server appends without proving that it is still the one.
        case leaderWithoutFence = "leader-without-fence"
        /// Reads come from the standby that `ASM_MUTANT_REPLICA` names.
        case replicaReads = "replica-reads"
    }

    extension Mutant {
        /// The mistake that this process makes; nil when it is sound.
        package static let current: Mutant? = environment("ASM_MUTANT").flatMap { Mutant(rawValue: $0) }

        /// The standby that `replica-reads` reads from.
        package static let replica: String? = environment("ASM_MUTANT_REPLICA")
    }

    /// What tests make this process do wrong.
    package enum Sabotage {
        /// Arms what the environment says; throws, with what would be right, when it cannot be read.
        package static func load() throws {
            if let name = environment("ASM_MUTANT"), !name.isEmpty {
                guard let mutant = Mutant(rawValue: name) else {
                    let known = Mutant.allCases.map(\.rawValue).joined(separator: ", ")
                    throw FailpointPlan.Mistake(
                        description: "ASM_MUTANT: there is no mutant '\(name)'; expected one of \(known).")
                }
                if mutant == .replicaReads, Mutant.replica == nil {
                    throw FailpointPlan.Mistake(
                        description: "ASM_MUTANT: replica-reads needs ASM_MUTANT_REPLICA, the standby's URL.")
                }
                tell("This process makes a mistake on purpose: \(name)")
            }
            if let word = environment("ASM_NEXT_VERSION"), !["", "0", "1"].contains(word) {
                throw FailpointPlan.Mistake(description: "ASM_NEXT_VERSION: '\(word)'; expected 1 or 0.")
            }
            do { ArmedFailpoints.shared.arm(try FailpointPlan(environment("ASM_FAILPOINT") ?? "")) } catch {
                throw FailpointPlan.Mistake(description: "ASM_FAILPOINT: \(error)")
            }
        }
    }
#endif
