package import Domain

/// What a client meets on the wire, before it repairs anything.
package enum ClientObservation: Sendable {
    case frame(ServerFrame, from: WebAddress)
    /// A message of one's own is stored for good.
    case stored(ClientID, StoredReceipt)
    /// It was refused for good.
    case refused(ClientID, MessagingError)
    /// It is to be sent again later.
    case postponed(ClientID)
    /// A connection, or the attempt at one, is over.
    case ended(at: WebAddress, reason: String)
}
