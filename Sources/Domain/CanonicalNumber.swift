extension Int64 {
    /// Reads decimal digits in the one form that a number of zero or more has: no sign, no zero in front.
    package init?(canonical text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
        else { return nil }
        self.init(text)
    }
}
