import SQLDatabase

extension Store {
    /// Where people were in a thread before they left it and came back; who never did has no row.
    ///
    /// `participant` holds each person's *last* stay, so that appends look at one row as before. A row is written when
    /// somebody comes back, and says of the stay before:
    /// - `joined_number` … `left_number` are the numbers of it, both of them included,
    /// - `joined_position` … `left_position` the positions of these two entries,
    /// - `next_position` is that of the entry with which the person came back: receipts have no number, and those between
    ///   `left_position` and it are not for this person,
    /// - `shown` is how many numbers this stay and all before it hold together, so that counting what is unread takes two rows.
    ///
    /// Stays do not overlap, so each question is one look-up in an index, however often somebody has come back.
    static let stayMigration = Migration(
        number: 6, name: "earlier stays", .expands,
        sql: """
            CREATE TABLE earlier_stay (
                thread_id bigint NOT NULL,
                user_id bigint NOT NULL,
                joined_number bigint NOT NULL,
                left_number bigint NOT NULL,
                joined_position bigint NOT NULL,
                left_position bigint NOT NULL,
                next_position bigint NOT NULL,
                shown bigint NOT NULL,
                PRIMARY KEY (thread_id, user_id, left_number)
            );
            CREATE INDEX earlier_stay_next ON earlier_stay (thread_id, user_id, next_position);
            CREATE INDEX earlier_stay_thread ON earlier_stay (thread_id, next_position)
            """)
}
