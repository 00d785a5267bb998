import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import NIOSSL

/// Why a Web Service could not be talked to, in words for who uses a client.
enum ConnectionProblem {
    /// - Parameter error: whatever connecting, a request or a live connection ended with.
    static func text(_ error: any Error, at address: WebAddress? = nil) -> String {
        tls(error) ?? connecting(error) ?? request(error, at: address) ?? "\(error)"
    }

    /// Nil when the error is not about TLS.
    private static func tls(_ error: any Error) -> String? {
        let text = "\(error)"
        switch error {
        case is NIOSSLExtraError where text.contains("failedToValidateHostname"):
            return "its certificate is for another host"
        case NIOSSLError.handshakeFailed where text.contains("CERTIFICATE_VERIFY_FAILED"):
            return
                "its certificate has expired, or is of an authority that is not trusted here (--ca FILE names one)"
        case NIOSSLError.handshakeFailed where text.contains("WRONG_VERSION_NUMBER"):
            return "it does not speak TLS (http://, not https://)"
        case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError: return "TLS failed: \(text)"
        default: return nil
        }
    }

    private static func connecting(_ error: any Error) -> String? {
        switch error {
        case let error as NIOConnectionError:
            guard let first = error.connectionErrors.first?.error else {
                return "the name \(error.host) cannot be looked up"
            }
            return connecting(first) ?? "\(first)"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout: return "it does not answer"
        default: return nil
        }
    }

    private static func request(_ error: any Error, at address: WebAddress?) -> String? {
        switch error as? HTTPClientError {
        case .remoteConnectionClosed? where address?.isSecure == false:
            "it closed the connection without an answer (one that speaks TLS wants https://)"
        case .connectTimeout?, .deadlineExceeded?, .readTimeout?: "it does not answer"
        case let error?: String(describing: error)
        case nil: nil
        }
    }
}
