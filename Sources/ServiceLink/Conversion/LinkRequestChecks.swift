import Domain

// What an ASM Service is asked: each kind of request, with the range of each of its numbers.

extension LinkRequest {
    /// Looks at every field, before anything is done with one.
    /// - Throws: the field that is out of range.
    package func check() throws(LinkFault) {
        guard token.count <= LinkRange.tokenBytes else {
            throw LinkFault(field: "token", expected: "at most \(LinkRange.tokenBytes) bytes")
        }
        switch body {
        case .sendMessage(let message): try LinkRange.check(message.thread, "thread", in: LinkRange.ids)
        case .markReceipt(let receipt): try receipt.check()
        case .attach(let attach): try LinkRange.check(attach.position, "position", in: LogRange.positions)
        case .logIn(let attempt): try attempt.check()
        case .findUsers(let wish): try wish.check()
        case .createThread(let wish): try LinkRange.check(ids: wish.participants, "participants")
        case .addParticipants(let wish):
            try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
            try LinkRange.check(ids: wish.users, "users")
        case .leaveThread(let wish): try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
        case .recallMessage(let wish):
            try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
            try LinkRange.check(wish.number, "number", in: LogRange.numbers)
        case .getInbox(let wish): try LinkRange.check(wish.before, "before", in: LogRange.positions)
        case .getThread(let wish): try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
        case .getHistory(let wish):
            try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
            try LinkRange.check(wish.before, "before", in: LogRange.numbersOrNone)
            try LinkRange.check(wish.after, "after", in: LogRange.numbersOrNone)
        case .getMessage(let wish):
            try LinkRange.check(wish.thread, "thread", in: LinkRange.ids)
            try LinkRange.check(wish.number, "number", in: LogRange.numbers)
        case .readLog(let wish): try LinkRange.check(wish.position, "position", in: LogRange.positions)
        case .reportCertificate(let report): try report.check()
        case .detach, .logOut, .whoAmI, .getStatus, .getCluster, nil: break
        }
    }

    /// What is wrong with it; nil when nothing is.
    var fault: LinkFault? {
        do throws(LinkFault) { try check() } catch { return error }
        return nil
    }
}

extension LinkMarkReceipt {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(thread, "thread", in: LinkRange.ids)
        try LinkRange.check(delivered, "delivered", in: LogRange.numbersOrNone)
        try LinkRange.check(read, "read", in: LogRange.numbersOrNone)
    }
}

extension LinkLogIn {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(name: customer, "customer")
        try LinkRange.check(name: login, "login")
        try LinkRange.check(name: password, "password")
        try LinkRange.check(name: deviceName, "device_name")
        try LinkRange.check(device, "device", in: LinkRange.idsOrNone)
        try LinkRange.check(name: address, "address")
    }
}

extension LinkFindUsers {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(count: logins.count, "logins")
        for login in logins { try LinkRange.check(name: login, "logins") }
        try LinkRange.check(name: search, "search")
    }
}

extension LinkReportCertificate {
    fileprivate func check() throws(LinkFault) {
        try LinkRange.check(name: subject, "subject")
        try LinkRange.check(name: fingerprint, "fingerprint")
        try LinkRange.check(notAfter, "not_after", in: LinkRange.seconds)
        try LinkRange.check(name: component, "component")
    }
}
