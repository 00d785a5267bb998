import ArgumentParser

extension Duration {
    /// The seconds that an option gives, at most a day.
    /// - Throws: `ValidationError` for what no clock counts, such as `nan` and `inf`, and for what is negative.
    static func option(_ name: String, seconds: Double) throws -> Duration {
        guard (0...86_400).contains(seconds) else {
            throw ValidationError("--\(name) is '\(seconds)'; expected seconds from 0 to 86400.")
        }
        return .seconds(seconds)
    }
}
