/// A value that must never reach a log, an error text or a dump.
package struct Sealed<Value: Sendable>: Sendable, CustomStringConvertible, CustomReflectable {
    package let open: Value

    package init(_ value: Value) { open = value }

    package var description: String { "<sealed>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension Sealed: Equatable where Value: Equatable {}
extension Sealed: Hashable where Value: Hashable {}
