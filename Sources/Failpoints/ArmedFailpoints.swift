#if FAILPOINTS
    import Glibc
    import Synchronization

    /// What is armed in this process: by the variable at its start, and by the file whenever that changes.
    final class ArmedFailpoints: Sendable {
        static let shared = ArmedFailpoints(file: environment("ASM_FAILPOINT_FILE"))

        private struct State {
            var variable: [Armed] = []
            var file: [Armed] = []
            /// The file as it was read last.
            var stamp: FileStamp?
        }

        private struct Armed {
            let step: FailpointPlan.Step
            var hits = 0

            /// Counts a visit of the place; whether the action is due.
            mutating func isDue() -> Bool {
                hits += 1
                switch step.occasion {
                case .always: return true
                case .only(let hit): return hits == hit
                case .chance(let percent): return Int.random(in: 1...100) <= percent
                }
            }
        }

        private struct FileStamp: Equatable {
            let inode: UInt
            let bytes: Int
            let seconds: Int
            let nanoseconds: Int
        }

        private let path: String?
        private let state = Mutex(State())

        init(file path: String?) { self.path = path }

        /// Arms this, beside what the file says.
        func arm(_ plan: FailpointPlan) {
            state.withLock { $0.variable = plan.steps.map { Armed(step: $0) } }
        }

        /// What is due at a place that is reached now.
        func action(at point: Failpoint) -> FailpointPlan.Action? {
            state.withLock { state in
                rereadFile(&state)
                return Self.due(&state.variable, point) ?? Self.due(&state.file, point)
            }
        }

        private static func due(_ armed: inout [Armed], _ point: Failpoint) -> FailpointPlan.Action? {
            for index in armed.indices where armed[index].step.point == point {
                if armed[index].isDue() { return armed[index].step.action }
            }
            return nil
        }

        private func rereadFile(_ state: inout State) {
            guard let path else { return }
            let stamp = Self.stamp(of: path)
            guard stamp != state.stamp else { return }
            state.stamp = stamp
            do { state.file = try FailpointPlan(Self.text(of: path)).steps.map { Armed(step: $0) } } catch {
                tell("Error: \(path): \(error)")
                exit(EX_CONFIG)
            }
        }

        private static func stamp(of path: String) -> FileStamp? {
            var status = stat()
            guard stat(path, &status) == 0 else { return nil }
            return FileStamp(
                inode: UInt(status.st_ino), bytes: Int(status.st_size), seconds: status.st_mtim.tv_sec,
                nanoseconds: status.st_mtim.tv_nsec)
        }

        private static func text(of path: String) -> String {
            guard let file = fopen(path, "r") else { return "" }
            defer { fclose(file) }
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = fread(&bytes, 1, bytes.count, file)
            return String(decoding: bytes[..<count], as: UTF8.self)
        }
    }

    func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Says on standard error what a test made happen.
    func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
#endif
