import HTTPTypes
import NIOHTTP1

/// The fields that every answer of a Web Service carries, errors and upgrades included.
enum SecurityHeaders {
    private static let contentSecurityPolicy = """
        default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; \
        manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; \
        require-trusted-types-for 'script'; trusted-types 'none'
        """

    /// The page uses none of what a browser would ask its person about.
    private static let permissionsPolicy = """
        camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()
        """

    static let fields: [(name: String, value: String)] = [
        ("Content-Security-Policy", contentSecurityPolicy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Permissions-Policy", permissionsPolicy),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cache-Control", "no-store"),
        ("Server", "ASM"),
    ]

    /// Over TLS only: who came once by TLS comes so for the next year.
    private static let secureFields = fields + [("Strict-Transport-Security", "max-age=31536000")]

    private static let named = named(fields)
    private static let secureNamed = named(secureFields)
    private static let plainHTTP1 = HTTPHeaders(fields.map { ($0.name, $0.value) })
    private static let secureHTTP1 = HTTPHeaders(secureFields.map { ($0.name, $0.value) })

    /// Adds the fields that the answer does not have yet.
    static func add(to fields: inout HTTPFields, isSecure: Bool) {
        for field in isSecure ? secureNamed : named where fields[field.name] == nil { fields.append(field) }
    }

    static func http1(isSecure: Bool) -> HTTPHeaders { isSecure ? secureHTTP1 : plainHTTP1 }

    private static func named(_ fields: [(name: String, value: String)]) -> [HTTPField] {
        fields.compactMap { field in
            HTTPField.Name(field.name).map { HTTPField(name: $0, value: field.value) }
        }
    }
}
