import ArgumentParser
import Domain
import Logging
import ServiceLink

/// What an option's value should have been.
struct Expected: Error, CustomStringConvertible {
    let description: String
    init(_ what: String) { description = "expected " + what }
}

/// Reads a whole number of a range.
func whole<Number: FixedWidthInteger & Sendable>(
    _ range: ClosedRange<Number>
) -> @Sendable (String) throws -> Number {
    { text in
        guard let number = Number(text), range.contains(number) else {
            throw Expected("a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }
}

/// Reads a port; 0 lets the system choose a free one.
func port(_ text: String) throws -> Int {
    guard let port = Int(text), (0...65_535).contains(port) else {
        throw Expected("a port from 0 to 65535.")
    }
    return port
}

/// Reads a number of a range, with or without a fraction.
func number(_ range: ClosedRange<Double>) -> @Sendable (String) throws -> Double {
    { text in
        guard let number = Double(text), range.contains(number) else {
            throw Expected("a number from \(range.lowerBound.plain) to \(range.upperBound.plain).")
        }
        return number
    }
}

/// Reads seconds of a range, with or without a fraction.
func seconds(_ range: ClosedRange<Double>) -> @Sendable (String) throws -> Duration {
    { text in
        guard let seconds = Double(text), range.contains(seconds) else {
            throw Expected("seconds from \(range.lowerBound.plain) to \(range.upperBound.plain).")
        }
        return .seconds(seconds)
    }
}

/// A day, the longest that most options take.
let upToADay = 0.0...86_400

/// Reads an address to listen on.
func bindAddress(_ text: String) throws -> BindAddress { try BindAddress(text) }

/// Reads how much is logged.
func level(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
        throw Expected("one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return level
}

extension Double {
    /// Without a fraction where there is none.
    fileprivate var plain: String { self == rounded() ? "\(Int64(self))" : "\(self)" }
}
