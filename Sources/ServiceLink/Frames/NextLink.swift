#if FAILPOINTS
    import Failpoints
    import SwiftProtobuf

    /// What the next version adds to the link: one field more on everything, one kind of frame and one kind of request more.
    ///
    /// Only in debug builds, and said only by a process that is told to be the next version.
    enum NextLink {
        static let versions = LinkVersions(oldest: 1, newest: 2)

        /// Numbers that no version uses.
        private static let field = 1_000
        private static let frameKind = 1_001
        private static let requestKind = 1_002

        /// A message's bytes, with one field more where this process is the next version.
        static func extended(_ bytes: [UInt8]) -> [UInt8] {
            guard NextVersion.isRunning else { return bytes }
            return bytes + lengthDelimited(field, Array("said by the next version".utf8))
        }

        /// A frame of a kind that this version does not know.
        static let frame = EncodedFrame(raw: lengthDelimited(frameKind, [8, 7]))

        /// A request of a kind that this version does not know.
        static func request(id: UInt64) -> EncodedFrame? {
            var request = LinkRequest()
            request.id = id
            // It always encodes.
            guard let bytes: [UInt8] = try? request.serializedBytes() else { return nil }
            return EncodedFrame(.request, raw: bytes + lengthDelimited(requestKind, [8, 7]))
        }

        private static func lengthDelimited(_ number: Int, _ body: [UInt8]) -> [UInt8] {
            varint(number << 3 | 2) + varint(body.count) + body
        }

        private static func varint(_ value: Int) -> [UInt8] {
            var rest = value
            var bytes: [UInt8] = []
            while rest >= 0x80 {
                bytes.append(UInt8(rest & 0x7F) | 0x80)
                rest >>= 7
            }
            return bytes + [UInt8(rest)]
        }
    }
#endif
