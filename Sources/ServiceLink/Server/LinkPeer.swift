import NIOCore
package import TransportSecurity

/// Who is at the other end of a connection to a link server.
package struct LinkPeer: Sendable, CustomStringConvertible {
    /// From its hello: what it calls itself.
    package let name: String
    /// Its address without the port.
    package let address: String
    /// Nil on a link in plain text: there nobody is told apart.
    package let certificate: CertificateDetails?
    package let description: String

    init(name: String, address: SocketAddress?, certificate: CertificateDetails?) {
        self.name = name
        self.address = address?.ipAddress ?? "?"
        self.certificate = certificate
        let place = "\(self.address):\(address?.port ?? 0)"
        description = "\(name) (\(place)\(certificate.map { ", certificate \($0.subject)" } ?? ""))"
    }
}
