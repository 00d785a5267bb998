import DequeModule
import Domain
import Foundation
import Logging
import NIOCore
import Observability

/// Requests without a session: to some healthy server, and to the next when the outcome is unknown.
extension PoolCore {
    func submit(_ request: PendingRequest) {
        guard phase != .stopped else { return request.reply(.failure(Self.unavailable)) }
        guard outstanding < limits.outstandingRequests else { return request.reply(.failure(Self.tooMany)) }
        outstanding += 1
        budget.countRequest()
        counters.requests.add()
        dispatch(request)
    }

    /// Sends it to a server, or lets it wait for one.
    func dispatch(_ request: PendingRequest) {
        guard let connection = pickForRequest(avoiding: request.lastServer) else {
            waitingRequests.append(request)
            return
        }
        let deadline = min(request.deadline, now + TimeAmount(limits.attemptWithin))
        var message = LinkRequest()
        message.id = nextRequestID()
        message.deadlineMilliseconds = milliseconds(until: deadline)
        if let token = request.token { message.token = token }
        message.body = request.body
        guard let frame = encode(message) else { return finish(request, .failure(Self.tooLarge)) }
        request.attempts += 1
        request.attemptID = message.id
        request.lastServer = connection.server.index
        connection.ask(.request(request), frame, id: message.id, until: deadline)
    }

    /// Sends it again elsewhere, unless its time, its attempts or the budget are used up.
    ///
    /// The loss of a connection is free of charge: it repeats what was in flight once, which is bounded
    /// already.
    func retry(_ request: PendingRequest, isFree: Bool) {
        guard !request.isDone else { return }
        guard request.deadline > now, request.attempts < limits.attempts, isFree || budget.spend() else {
            return finish(request, .failure(Self.unavailable))
        }
        counters.retries.add()
        dispatch(request)
    }

    func answered(
        _ request: PendingRequest, id: UInt64, _ body: LinkResponse.OneOf_Body?,
        on connection: ServerConnection
    ) {
        guard !request.isDone else { return }
        switch body {
        case .refused(let refused):
            guard request.attemptID == id else { return }
            let refusal = Refusal(refused)
            switch refusal.code {
            case .unavailable:
                leave(connection, because: .refusing(refusal.message))
                retry(request, isFree: false)
            // An older server among newer ones, as during an upgrade: another one may know the request.
            case .unsupported where request.attempts < servers.count && servers.count > 1:
                retry(request, isFree: true)
            default: finish(request, .failure(refusal.afterAttempts(request.attempts)))
            }
        case .some(let body): finish(request, .success(body))
        case nil: finish(request, .failure(Self.notUnderstood))
        }
    }

    func finish(_ request: PendingRequest, _ result: Result<LinkResponse.OneOf_Body, Refusal>) {
        guard !request.isDone else { return }
        request.isDone = true
        outstanding -= 1
        request.reply(result)
    }

    /// Gives waiting requests to the servers that there are now.
    func dispatchWaiting() {
        for _ in 0..<waitingRequests.count {
            guard let request = waitingRequests.popFirst(), !request.isDone else { continue }
            dispatch(request)
        }
    }

    func expireWaitingRequests() {
        guard waitingRequests.contains(where: { $0.deadline <= now }) else { return }
        let overdue = waitingRequests.filter { $0.deadline <= now }
        waitingRequests.removeAll { $0.deadline <= now }
        for request in overdue { finish(request, .failure(Self.unavailable)) }
    }

    func milliseconds(until deadline: NIODeadline) -> UInt32 {
        UInt32(clamping: max((deadline - now).nanoseconds, 0) / 1_000_000)
    }

    /// The request's frame; nil when it is longer than a frame may be.
    func encode(_ request: LinkRequest) -> EncodedFrame? {
        do {
            let frame = try EncodedFrame(.request, request)
            return frame.count <= limits.frameBytes ? frame : nil
        } catch {
            logger.error("A request cannot be encoded", metadata: ["error": "\(error)"])
            return nil
        }
    }

    static let tooLarge = Refusal(.tooLarge, "The request is too long.")
    static let notUnderstood = Refusal(
        .internalError, "The server's answer is not understood by this version.")
}
