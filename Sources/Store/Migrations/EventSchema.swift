/// Migration 3: what administrators are told of, to whom it is mailed, and the mails on their way.
///
/// - `event_setting`: no row means the event's defaults.
/// - `mail_entry.event`: null for the default entry, of which there is at most one.
/// - `event_once`: the keys that have raised their event.
/// - `mail_outbox.state`: 0 waiting, 1 taken by a mail server, 2 given up. `next_at` is when it may be tried next; for a
///   mail that somebody is sending it is the end of his lease. `claim` proves whose the last try is.
/// - `usage_level`: how full things were when that was looked at last. `periodic_job`: when a job ran last, anywhere.
let eventSchema = """
    CREATE TABLE event_setting (
        event text PRIMARY KEY,
        use_default smallint NOT NULL,
        log_event smallint NOT NULL
    );
    CREATE TABLE mail_entry (
        id bigint PRIMARY KEY,
        event text,
        recipients text NOT NULL,
        sender text NOT NULL,
        subject text NOT NULL,
        server text NOT NULL,
        port integer NOT NULL,
        login text NOT NULL,
        password text NOT NULL,
        use_tls smallint NOT NULL,
        encrypted smallint NOT NULL,
        created_at bigint NOT NULL
    );
    CREATE UNIQUE INDEX mail_entry_default ON mail_entry ((coalesce(event, ''))) WHERE event IS NULL;
    CREATE INDEX mail_entry_event ON mail_entry (event);
    CREATE TABLE event_log (
        id bigint PRIMARY KEY,
        event text NOT NULL,
        at bigint NOT NULL,
        summary text NOT NULL,
        details text NOT NULL,
        customer_id bigint,
        server_id bigint,
        mails integer NOT NULL
    );
    CREATE INDEX event_log_at ON event_log (at);
    CREATE TABLE event_once (
        event text NOT NULL,
        key text NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (event, key)
    );
    CREATE INDEX event_once_at ON event_once (at);
    CREATE TABLE mail_outbox (
        id bigint PRIMARY KEY,
        event_id bigint NOT NULL,
        event text NOT NULL,
        entry_id bigint NOT NULL,
        recipient text NOT NULL,
        subject text NOT NULL,
        body text NOT NULL,
        message_id text NOT NULL UNIQUE,
        created_at bigint NOT NULL,
        give_up_at bigint NOT NULL,
        state smallint NOT NULL DEFAULT 0,
        attempts integer NOT NULL DEFAULT 0,
        next_at bigint NOT NULL,
        claim \(blob),
        ended_at bigint,
        last_error text NOT NULL DEFAULT '',
        UNIQUE (event_id, recipient)
    );
    CREATE INDEX mail_outbox_next ON mail_outbox (next_at) WHERE state = 0;
    CREATE INDEX mail_outbox_ended ON mail_outbox (ended_at) WHERE state <> 0;
    CREATE TABLE usage_level (
        subject text PRIMARY KEY,
        level smallint NOT NULL,
        raised_at bigint NOT NULL
    );
    CREATE TABLE event_option (
        name text PRIMARY KEY,
        value bigint NOT NULL
    );
    CREATE TABLE periodic_job (
        name text PRIMARY KEY,
        last_at bigint NOT NULL
    );

    """

/// The type of bytes, which the migrator fills in for each engine.
private let blob = "{blob}"
