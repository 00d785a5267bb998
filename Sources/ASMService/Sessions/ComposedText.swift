import Foundation

extension String {
    /// The text in its composed form (NFC): `ä` typed as one character, or as `a` and two dots, is the same.
    ///
    /// Swift's `==` takes both forms for equal; a database and a hash do not.
    package var composed: String { precomposedStringWithCanonicalMapping }

    /// Whether it is in its composed form byte by byte.
    var isComposed: Bool { utf8.elementsEqual(composed.utf8) }
}
