import Foundation
import Synchronization
import Testing

@testable import TransportSecurity

@Suite("Certificates that come near their end")
struct ExpiryTests {
    struct Failure: Error {}

    private static func certificate(days: Int, from now: Date) throws -> CertificateDetails {
        let (authority, _) = try CertificateAuthority.make(named: "A", now: now)
        return try authority.issue(
            try CertificateWish(name: "a", hosts: ["a.example"], role: .service, days: days), now: now
        ).details
    }

    @Test("each is told 30, 7 and 1 days before, once, over the whole of its life")
    func onceEach() async throws {
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        let certificate = try Self.certificate(days: 90, from: start)
        let now = Mutex(start)
        let told = Mutex<[String]>([])
        let expiry = CertificateExpiry(
            certificates: { [certificate] }, clock: { now.withLock { $0 } },
            report: { notice in told.withLock { $0.append("\(notice.days) at \(notice.daysLeft)") } })

        var memory: Set<String> = []
        for hour in 0..<(95 * 24) {
            now.withLock { $0 = start + TimeInterval(hour) * 3_600 }
            #expect(await expiry.look(&memory))
        }

        #expect(told.withLock { $0 } == ["30 at 30", "7 at 7", "1 at 1"])
    }

    @Test("who looks for the first time late tells the last threshold only, under the same key everywhere")
    func late() async throws {
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        let certificate = try Self.certificate(days: 5, from: start)
        let keys = Mutex<[String]>([])
        for _ in 0..<2 {
            var memory: Set<String> = []
            let expiry = CertificateExpiry(
                certificates: { [certificate] }, clock: { start },
                report: { notice in keys.withLock { $0.append(notice.key) } })
            _ = await expiry.look(&memory)
        }

        let key = "certificate/\(certificate.fingerprint)/7"
        #expect(keys.withLock { $0 } == [key, key])
    }

    @Test("a report that fails is made again, soon, and a certificate with time left is none")
    func failedReport() async throws {
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        let (ending, fresh) = (
            try Self.certificate(days: 20, from: start), try Self.certificate(days: 31, from: start)
        )
        let tries = Mutex(0)
        let pauses = Mutex<[Duration]>([])
        let expiry = CertificateExpiry(
            certificates: { [ending, fresh] }, clock: { start },
            pause: { duration in
                let count = pauses.withLock {
                    $0.append(duration)
                    return $0.count
                }
                if count == 3 { throw CancellationError() }
            },
            report: { notice in
                #expect(notice.certificate == ending)
                if tries.withLock({
                    $0 += 1
                    return $0
                }) == 1 {
                    throw Failure()
                }
            })

        await #expect(throws: CancellationError.self) { try await expiry.run() }

        #expect(tries.withLock { $0 } == 2)
        #expect(
            pauses.withLock { $0 }
                == [CertificateExpiry.retryAfter, CertificateExpiry.lookEvery, CertificateExpiry.lookEvery])
    }
}
