package import Domain

extension LinkAttach {
    /// How far the client has followed its log; nil to start from the head.
    package var cursor: LogCursor? {
        get {
            hasCursor_p
                ? LogCursor(epoch: LogEpoch(high: epochHigh, low: epochLow), position: position) : nil
        }
        set {
            hasCursor_p = newValue != nil
            epochHigh = newValue?.epoch.high ?? 0
            epochLow = newValue?.epoch.low ?? 0
            position = newValue?.position ?? 0
        }
    }
}

extension LinkReadLog {
    /// After what to read; nil for only the head's cursor.
    package var cursor: LogCursor? {
        get {
            hasCursor_p
                ? LogCursor(epoch: LogEpoch(high: epochHigh, low: epochLow), position: position) : nil
        }
        set {
            hasCursor_p = newValue != nil
            epochHigh = newValue?.epoch.high ?? 0
            epochLow = newValue?.epoch.low ?? 0
            position = newValue?.position ?? 0
        }
    }
}

/// A message of the link that holds one cursor in three fields.
package protocol LinkCursorHolder {
    var epochHigh: UInt64 { get set }
    var epochLow: UInt64 { get set }
    var position: Int64 { get set }
}

extension LinkCursorHolder {
    package var cursor: LogCursor {
        get { LogCursor(epoch: LogEpoch(high: epochHigh, low: epochLow), position: position) }
        set { (epochHigh, epochLow, position) = (newValue.epoch.high, newValue.epoch.low, newValue.position) }
    }
}

extension LinkAttached: LinkCursorHolder {}
extension LinkInbox: LinkCursorHolder {}
extension LinkLogPage: LinkCursorHolder {}
extension LinkSessionEnded: LinkCursorHolder {}
