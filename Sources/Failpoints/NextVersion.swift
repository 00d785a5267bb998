#if FAILPOINTS
    /// Whether this process is the version after this one, as which a debug build can be started (`ASM_NEXT_VERSION=1`), so
    /// that rolling upgrades can be tested.
    ///
    /// It speaks the next version of the link and brings the next schema. A release build has nothing of it.
    package enum NextVersion {
        package static let isRunning = environment("ASM_NEXT_VERSION") == "1"

        /// What the schema of the next version is to be, where a test wants another than the usual one.
        package static let schema = environment("ASM_NEXT_SCHEMA")
    }
#endif
