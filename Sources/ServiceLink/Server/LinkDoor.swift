import NIOCore
import Synchronization

/// Lets connections into a link server: so many in all, and so many from one address.
///
/// Where there is no room, the oldest that has not said hello yet goes: who opens connections and says nothing keeps nobody
/// out who does.
final class LinkDoor: Sendable {
    fileprivate struct Guest {
        let channel: any Channel
        let address: String
        var isGreeted = false
    }

    fileprivate struct State {
        /// The oldest first.
        var guests: [Guest] = []
        /// When the log was told last that somebody was sent away.
        var toldAt: NIODeadline?
    }

    enum Verdict {
        case welcome
        /// There is no room; `isNews` at most once in a while, so that the log is not the next thing to fill.
        case full(reason: String, isNews: Bool)
    }

    fileprivate static let tellEvery = TimeAmount.seconds(10)

    private let state = Mutex(State())
    private let limit: Int
    private let limitPerAddress: Int

    init(_ limits: LinkLimits) {
        limit = limits.connections
        limitPerAddress = limits.connectionsPerAddress
    }

    /// Counts a connection that has just come, until it is closed.
    func admit(_ channel: any Channel, from address: String) -> Verdict {
        let (verdict, leaving) = state.withLock { state -> (Verdict, [any Channel]) in
            var leaving: [any Channel] = []
            if state.guests.count(where: { $0.address == address }) >= limitPerAddress {
                guard let oldest = state.removeOldestUngreeted(where: { $0.address == address }) else {
                    return (
                        state.full("\(limitPerAddress) connections from \(address) are open, the most"), []
                    )
                }
                leaving.append(oldest)
            }
            if state.guests.count >= limit {
                guard let oldest = state.removeOldestUngreeted(where: { _ in true }) else {
                    return (state.full("\(limit) connections are open, the most"), leaving)
                }
                leaving.append(oldest)
            }
            state.guests.append(Guest(channel: channel, address: address))
            return (.welcome, leaving)
        }
        for channel in leaving { channel.close(promise: nil) }
        if case .welcome = verdict {
            channel.closeFuture.whenComplete { [self] _ in
                state.withLock { $0.guests.removeAll { $0.channel === channel } }
            }
        }
        return verdict
    }

    /// It has said hello: it stays.
    func greeted(_ channel: any Channel) {
        state.withLock { state in
            guard let index = state.guests.firstIndex(where: { $0.channel === channel }) else { return }
            state.guests[index].isGreeted = true
        }
    }
}

extension LinkDoor.State {
    fileprivate mutating func removeOldestUngreeted(
        where isMeant: (LinkDoor.Guest) -> Bool
    ) -> (any Channel)? {
        guard let index = guests.firstIndex(where: { !$0.isGreeted && isMeant($0) }) else { return nil }
        return guests.remove(at: index).channel
    }

    fileprivate mutating func full(_ reason: String) -> LinkDoor.Verdict {
        let now = NIODeadline.now()
        let isNews = toldAt.map { now - $0 >= LinkDoor.tellEvery } ?? true
        if isNews { toldAt = now }
        return .full(reason: reason, isNews: isNews)
    }
}
