import Domain
import ServiceLink
import Store
import TestSupport
import Testing

@Suite("Degraded Mode", .serialized)
struct DegradedTests {
    @Test("A server without a slot refuses every request of apps, and serves when the licence allows more")
    func degraded() async throws {
        try await withCluster { test, connect in
            try await test.license(servers: 1)
            let thread = try await test.thread("alice", "bob")
            _ = try await test.store.releaseSlot(of: "maker", evenRunning: true)
            let (one, two) = (try await test.server(on: connect()), try await test.server(on: connect()))
            let (web, lone) = (try test.web(one, two), try test.web(two))

            // With both in its list, a web process finds the one that serves; with the other alone, nothing.
            let alice = try await web.session("alice")
            for index in 0..<20 { #expect(await alice.send("\(index)", in: thread).refusal == nil) }
            let token = try await web.logIn("bob")
            #expect(
                await lone.refusal(.whoAmI(LinkWhoAmI()), token: token, deadline: .seconds(1)) == .unavailable
            )
            let post = LinkSendMessage("late", in: thread, .random())
            #expect(
                await lone.refusal(.sendMessage(post), token: token, deadline: .seconds(1)) == .unavailable)
            #expect(lone.pool.isServing == false)

            try await test.license(servers: 2)

            try await eventually("the second one serves", within: .seconds(20)) { lone.pool.isServing }
            #expect(try await lone.post("soon", in: thread, token: token).replayed == false)
            await alice.until(text: "soon")
        }
    }

    @Test("A server whose slot is taken moves its sessions to another; nothing is lost or doubled")
    func takenWhileServing() async throws {
        try await withCluster { test, connect in
            let thread = try await test.thread("alice", "bob")
            _ = try await test.store.releaseSlot(of: "maker", evenRunning: true)
            let (one, two) = (try await test.server(on: connect()), try await test.server(on: connect()))
            let web = try test.web(one, two)
            let (alice, bob) = (try await web.session("alice"), try await web.session("bob"))

            for index in 0..<60 {
                if index == 20 { try await test.license(servers: 1) }
                #expect(await alice.send("\(index)", in: thread).refusal == nil)
            }

            await bob.until(text: "59")
            #expect(bob.texts == (0..<60).map { "\($0)" })
            #expect(try await test.texts() == bob.texts)
            try await eventually("one of them is degraded", within: .seconds(20)) {
                web.pool.servers.count { $0.state == .healthy } == 1
            }
        }
    }

    @Test("Administrators are shown every server and what replication protects, by any server")
    func cluster() async throws {
        try await withCluster { test, connect in
            try await test.license(servers: 1)
            let one = try await test.server(on: connect(), registeredAs: "one:7400")
            _ = try await test.server(on: connect(), registeredAs: "two:7400")
            let web = try test.web(one)
            try await eventually("both have beaten", within: .seconds(20)) {
                try await test.store.servers().allSatisfy { $0.said != "starting" }
            }

            let answer = try await web.pool.request(.getCluster(LinkGetCluster()), token: nil)

            guard case .cluster(let cluster) = answer else { throw UnexpectedAnswer() }
            #expect(cluster.servers.map(\.address) == ["one:7400", "two:7400"])
            #expect(cluster.servers.map(\.state) == ["active", "degraded"])
            #expect(cluster.servers.map(\.slot) == [1, 0])
            #expect(cluster.servers[1].reason.contains("Degraded Mode"))
            #expect(cluster.servers.allSatisfy { $0.lastActive > 0 && $0.version == "test" })
            #expect(cluster.replication.canLose == "unknown")
            #expect(cluster.replication.reason.contains("No standby is connected"))
        }
    }
}

extension ServiceUnderTest {
    fileprivate func license(servers: Int64) async throws {
        let status = try await store.licence()
        let terms = LicenceTerms(
            installation: status.installation, licensee: "Acme", servers: servers, issuedAt: status.now)
        let issuer = LicenceIssuer()
        _ = try await store.installLicence(issuer.issue(terms), trusting: issuer.fingerprint)
    }
}
