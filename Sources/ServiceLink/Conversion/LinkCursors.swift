package import Domain

extension LinkAttach: LinkCursorFields {
    /// How far the client has followed its log; nil to start from the head.
    package var cursor: LogCursor? {
        get { hasCursor_p ? held : nil }
        set {
            hasCursor_p = newValue != nil
            hold(newValue)
        }
    }
}

extension LinkReadLog: LinkCursorFields {
    /// After what to read; nil for only the head's cursor.
    package var cursor: LogCursor? {
        get { hasCursor_p ? held : nil }
        set {
            hasCursor_p = newValue != nil
            hold(newValue)
        }
    }
}

/// A message of the link that holds one cursor in four fields.
package protocol LinkCursorFields {
    var epochHigh: UInt64 { get set }
    var epochLow: UInt64 { get set }
    var position: Int64 { get set }
    /// 0 where none is known.
    var fingerprint: UInt64 { get set }
}

extension LinkCursorFields {
    fileprivate var held: LogCursor {
        LogCursor(
            epoch: LogEpoch(high: epochHigh, low: epochLow), position: position,
            fingerprint: fingerprint == 0 ? nil : CursorFingerprint(rawValue: fingerprint))
    }

    fileprivate mutating func hold(_ cursor: LogCursor?) {
        epochHigh = cursor?.epoch.high ?? 0
        epochLow = cursor?.epoch.low ?? 0
        position = cursor?.position ?? 0
        fingerprint = cursor?.fingerprint?.rawValue ?? 0
    }
}

/// A message of the link that always holds a cursor.
package protocol LinkCursorHolder: LinkCursorFields {}

extension LinkCursorHolder {
    package var cursor: LogCursor {
        get { held }
        set { hold(newValue) }
    }
}

extension LinkAttached: LinkCursorHolder {}
extension LinkInbox: LinkCursorHolder {}
extension LinkLogPage: LinkCursorHolder {}
extension LinkSessionEnded: LinkCursorHolder {}
extension LinkFollowed: LinkCursorHolder {}
