import SQLDatabase

extension Store {
    /// Servers' states, licences and their slots, incidents. Only adds: servers of the version before go on working.
    static let clusterMigration = Migration(
        number: 2, name: "cluster", .expands,
        postgres: schema2(installation: "uuid_send(gen_random_uuid())") + ";\n" + postgresSlotAppend,
        sqlite: schema2(installation: "randomblob(16)"))
}

/// - `server.state`, `reason`: what the server said with its last beat; whether it still speaks, `beat_at` tells.
/// - `server.last_active` is written each minute, `beat` and `beat_at` each second.
/// - `ha_slot`: who may serve. A row is changed only when it changes hands or is claimed anew, and then its token grows:
///   whoever appends proves the token. The row of a slot that nobody holds stays, so that tokens never repeat.
/// - `installation`: one row; locked by whoever changes slots, licences, or counts against a licence.
/// - `licence`: no row means no limits; a null limit is none.
/// - `incident`: what is wrong with a server, once per outage.
private func schema2(installation: String) -> String {
    """
    ALTER TABLE server ADD COLUMN state text NOT NULL DEFAULT 'active';
    ALTER TABLE server ADD COLUMN reason text NOT NULL DEFAULT '';
    ALTER TABLE server ADD COLUMN beat_at bigint NOT NULL DEFAULT 0;
    ALTER TABLE server ADD COLUMN drain_requested smallint NOT NULL DEFAULT 0;
    ALTER TABLE server ADD COLUMN stopped_at bigint;
    CREATE TABLE installation (
        single smallint PRIMARY KEY CHECK (single = 1),
        id {blob} NOT NULL,
        issuer_key {blob},
        issuer_pinned_at bigint
    );
    INSERT INTO installation (single, id) VALUES (1, \(installation));
    CREATE TABLE licence (
        single smallint PRIMARY KEY CHECK (single = 1),
        document text NOT NULL,
        licensee text NOT NULL,
        servers bigint,
        users bigint,
        user_groups bigint,
        roles bigint,
        attachment_users bigint,
        issued_at bigint NOT NULL,
        expires_at bigint,
        installed_at bigint NOT NULL
    );
    CREATE TABLE ha_slot (
        slot bigint PRIMARY KEY,
        server_id bigint UNIQUE,
        token bigint NOT NULL DEFAULT 0,
        claimed_at bigint NOT NULL DEFAULT 0
    );
    CREATE TABLE incident (
        id bigint PRIMARY KEY,
        kind text NOT NULL,
        server_id bigint NOT NULL,
        opened_at bigint NOT NULL,
        opened_by bigint NOT NULL,
        closed_at bigint
    );
    CREATE UNIQUE INDEX incident_open ON incident (kind, server_id) WHERE closed_at IS NULL;
    CREATE INDEX incident_server ON incident (server_id, opened_at)
    """
}
