import Domain
import Foundation
import TestSupport

/// Notes in the database itself who was given the right to serve, and by which right each message was written.
///
/// Triggers write it, in the transactions that they tell of, so it stands in the database's order; the product knows
/// nothing of it. A process is known by the application name of its connections. Its right is the last that it was
/// given: its name under a boot id, or a licence's slot under a token.
enum RightsLog {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Makes a database take these notes; before the first server starts.
    static let sql = """
        CREATE TABLE test_right (
            n bigserial PRIMARY KEY, server text NOT NULL, slot text NOT NULL, token text, position bigint);
        CREATE FUNCTION test_given() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_TABLE_NAME = 'server' THEN
                INSERT INTO test_right (server, slot, token)
                VALUES (current_setting('application_name'), 'server ' || NEW.id, encode(NEW.boot, 'hex'));
            ELSE
                INSERT INTO test_right (server, slot, token)
                VALUES (current_setting('application_name'), 'slot ' || NEW.slot,
                        CASE WHEN NEW.server_id IS NULL THEN NULL ELSE NEW.token::text END);
            END IF;
            RETURN NULL;
        END $$;
        CREATE FUNCTION test_used() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO test_right (server, slot, token, position)
            SELECT current_setting('application_name'), coalesce(r.slot, ''), coalesce(r.token, ''), NEW.position
            FROM (SELECT 1) one LEFT JOIN LATERAL (
                SELECT slot, token FROM test_right
                WHERE server = current_setting('application_name') AND position IS NULL
                ORDER BY n DESC LIMIT 1) r ON true;
            RETURN NULL;
        END $$;
        CREATE TRIGGER test_given AFTER INSERT OR UPDATE OF boot ON server
            FOR EACH ROW EXECUTE FUNCTION test_given();
        CREATE TRIGGER test_given AFTER INSERT OR UPDATE OF server_id, token ON ha_slot
            FOR EACH ROW EXECUTE FUNCTION test_given();
        CREATE TRIGGER test_used AFTER INSERT ON entry
            FOR EACH ROW WHEN (NEW.kind = 1) EXECUTE FUNCTION test_used();
        """

    /// Takes over what was noted.
    static func read(
        into history: inout DeliveryHistory, from postgres: PostgresServer, database: String
    ) throws {
        let rows = try postgres.execute(
            "SELECT n, server, slot, coalesce(token, '-'), coalesce(position, 0) FROM test_right ORDER BY n",
            database: database)
        try take(rows, into: &history)
    }

    /// Takes over rows as `psql` writes them; slot and token are empty where a message was written without a right.
    static func take(_ rows: String, into history: inout DeliveryHistory) throws {
        for row in rows.split(separator: "\n") {
            let columns = row.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
            guard columns.count == 5, let order = Int64(columns[0]), let position = Int64(columns[4]) else {
                throw Failure(description: "The log of rights holds '\(row)'")
            }
            if position == 0 {
                history.grants.append(
                    .init(
                        server: columns[1], slot: columns[2], token: columns[3] == "-" ? nil : columns[3],
                        order: order))
            } else {
                history.acceptances.append(
                    .init(
                        server: columns[1], slot: columns[2], token: columns[3], position: position,
                        order: order))
            }
        }
    }
}
