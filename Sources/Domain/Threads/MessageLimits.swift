/// What a message, a subject and a participant list may be at most.
package struct MessageLimits: Sendable, Hashable {
    /// The longest text, in bytes of UTF-8.
    package var textBytes = 65_536
    /// The longest text as a string of JSON: each byte as `\u00XX`, as some clients write all that is not a letter.
    package var escapedTextBytes: Int { 6 * textBytes }
    /// The longest subject, in bytes of UTF-8.
    package var subjectBytes = 512
    /// How many people are in a thread at once, whoever lets them in.
    package var participants = 1_000

    package init() {}

    /// Checks a message's text.
    package func check(text: String) throws(DraftRejection) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= textBytes else { throw .tooLarge(limitBytes: textBytes) }
    }

    /// Checks a thread's subject: one line of text that steers nothing; an empty one is allowed.
    package func check(subject: String) throws(DraftRejection) {
        guard subject.utf8.count <= subjectBytes else { throw .tooLarge(limitBytes: subjectBytes) }
        guard !subject.holdsControls else { throw .lineBreakInSubject }
    }

    /// Checks how many people a thread has, its creator included.
    package func check(participants count: Int) throws(DraftRejection) {
        guard count <= participants else { throw .tooManyParticipants(limit: participants) }
    }
}

/// Why a draft cannot be accepted as it is.
package enum DraftRejection: Error, Hashable {
    case empty
    case tooLarge(limitBytes: Int)
    case lineBreakInSubject
    case tooManyParticipants(limit: Int)
}
