import HTTPTypes
import Hummingbird
import NIOCore

/// A file of the messenger page or the API, compiled into the program.
struct StaticFile: Sendable {
    let bytes: ByteBuffer
    let type: String
    /// Changes with the content.
    let tag: String

    init(_ content: [UInt8], type: String) {
        bytes = ByteBuffer(bytes: content)
        self.type = type
        // FNV-1a, 64 bits: it tells versions apart and protects nothing.
        let hash = content.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        tag = "\"\(String(hash, radix: 16))-\(content.count)\""
    }

    /// The file, or 304 when the client has this version.
    func answer(to request: Request) -> Response {
        var response =
            request.headers[.ifNoneMatch] == tag
            ? Response(status: .notModified) : Response.bytes(bytes, type: type, status: .ok)
        response.headers[.eTag] = tag
        response.headers[.cacheControl] = "no-cache"
        return response
    }
}

/// Which file is at which address: the only place that says so.
enum StaticFiles {
    static let openAPI = StaticFile(PackageResources.openapi_json, type: "application/json; charset=utf-8")

    static let byPath: [String: StaticFile] = {
        let page = StaticFile(PackageResources.index_html, type: "text/html; charset=utf-8")
        var files = ["/": page, "/index.html": page]
        files["/app.css"] = StaticFile(PackageResources.app_css, type: "text/css; charset=utf-8")
        files["/icon.svg"] = StaticFile(PackageResources.icon_svg, type: "image/svg+xml")
        files["/manifest.webmanifest"] = StaticFile(
            PackageResources.manifest_webmanifest, type: "application/manifest+json")
        for (name, script) in scripts {
            files["/\(name).js"] = StaticFile(script, type: "text/javascript; charset=utf-8")
        }
        return files
    }()

    private static let scripts: [(String, [UInt8])] = [
        ("api", PackageResources.api_js),
        ("app", PackageResources.app_js),
        ("composer", PackageResources.composer_js),
        ("dialogs", PackageResources.dialogs_js),
        ("dom", PackageResources.dom_js),
        ("format", PackageResources.format_js),
        ("inbox-view", PackageResources.inbox_view_js),
        ("jump-button", PackageResources.jump_button_js),
        ("live", PackageResources.live_js),
        ("login-view", PackageResources.login_view_js),
        ("message-row", PackageResources.message_row_js),
        ("outbox", PackageResources.outbox_js),
        ("people-picker", PackageResources.people_picker_js),
        ("reading", PackageResources.reading_js),
        ("receipts", PackageResources.receipts_js),
        ("session", PackageResources.session_js),
        ("store", PackageResources.store_js),
        ("thread-view", PackageResources.thread_view_js),
        ("thread", PackageResources.thread_js),
        ("urgent", PackageResources.urgent_js),
        ("uuid", PackageResources.uuid_js),
    ]

    static func register(on router: Router<WebContext>) {
        for (path, file) in byPath {
            router.get(RouterPath(path)) { request, _ in file.answer(to: request) }
        }
    }
}
