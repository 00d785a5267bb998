#if FAILPOINTS
    import Failpoints
    import SQLDatabase

    /// The schema of the next version: it adds to the tables that every message goes through.
    ///
    /// Only in debug builds, and brought only by a process that is told to be the next version. There `ASM_NEXT_SCHEMA` asks for another one: `slow` takes three seconds between two of its changes, `contract` takes away
    /// as well, as the version after the next would.
    enum NextSchema {
        static let migrations: [Migration] = {
            let number = Store.migrations.count + 1
            return switch NextVersion.schema {
            case "slow": [slow(number)]
            case "contract":
                [
                    expand(number),
                    Migration(
                        number: number + 1, name: "next version, contracted", .contracts(since: number),
                        sql: "ALTER TABLE next_version DROP COLUMN old"),
                ]
            default: [expand(number)]
            }
        }()

        private static func expand(_ number: Int) -> Migration {
            Migration(
                number: number, name: "next version", .expands,
                sql: """
                    ALTER TABLE entry ADD COLUMN next_note text;
                    ALTER TABLE thread ADD COLUMN next_flag smallint NOT NULL DEFAULT 0;
                    ALTER TABLE participant ADD COLUMN next_flag smallint NOT NULL DEFAULT 0;
                    ALTER TABLE log_head ADD COLUMN next_count bigint NOT NULL DEFAULT 0;
                    CREATE TABLE next_version (id bigint PRIMARY KEY, old text, body {blob})
                    """)
        }

        private static func slow(_ number: Int) -> Migration {
            Migration(
                number: number, name: "next version, slowly", .expands,
                postgres: """
                    CREATE TABLE next_first (id bigint PRIMARY KEY);
                    SELECT pg_sleep(3);
                    CREATE TABLE next_second (id bigint PRIMARY KEY)
                    """,
                sqlite: "CREATE TABLE next_first (id bigint PRIMARY KEY)")
        }
    }
#endif
