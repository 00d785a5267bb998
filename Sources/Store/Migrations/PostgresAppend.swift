extension Store {
    /// The append as one PostgreSQL statement, so that a server stopped at any moment holds no lock.
    ///
    /// Two lessons are built in: everything that depends on other rows is checked in statements *after* the head lock
    /// (each statement of a VOLATILE function has a new snapshot, so a removal that committed before the lock is seen);
    /// a replay writes, so that its commit waits for replication like the original's. Writing counts as reading only as
    /// far as the batch holds nobody else's message before (`own`). Plans are pinned to the indexes:
    /// statistics of a young table would choose sequential scans that are many times slower later.
    ///
    /// This is the append of servers that know no slots yet: fenced by the row of the server itself.
    static let postgresAppend =
        postgresAppendHead(
            identity: "p_server bigint, p_boot bytea",
            fence: "1 FROM server WHERE id = p_server AND boot = p_boot FOR KEY SHARE")
        + postgresAppendBody

    /// The append fenced by this server's slot. Every transfer of a slot changes its row, so it waits for the appends
    /// that have proved it, and those that come later find another token; a heartbeat never touches that row.
    ///
    /// Proved before the head is locked: whatever holds up a slot's row holds up its own server's appends only, never
    /// the customer's log.
    static let postgresSlotAppend =
        postgresAppendHead(
            identity: "p_server bigint, p_slot bigint, p_token bigint",
            fence: "1 FROM ha_slot WHERE slot = p_slot AND server_id = p_server AND token = p_token FOR SHARE"
        )
        + postgresAppendBody

    private static func postgresAppendHead(identity: String, fence: String) -> String {
        """
        CREATE FUNCTION asm_append(
            \(identity), c bigint,
            m_client bytea[], m_thread bigint[], m_author bigint[], m_device bigint[], m_priority bigint[],
            m_hash bigint[], m_body bytea[],
            r_thread bigint[], r_user bigint[], r_delivered bigint[], r_read bigint[])
        RETURNS TABLE (o_ord bigint, o_outcome integer, o_position bigint, o_number bigint, o_at bigint,
                       o_thread bigint, o_body bytea)
        LANGUAGE plpgsql
        SET plan_cache_mode = force_generic_plan SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
        AS $$
        DECLARE
            h bigint;
            accepted bigint := 0;
            receipts bigint := 0;
            t_now bigint;
        BEGIN
            PERFORM \(fence);
            IF NOT FOUND THEN
                RETURN QUERY SELECT 0::bigint, -1, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea;
                RETURN;
            END IF;

        """
    }

    private static let postgresAppendBody = """
            SELECT head INTO h FROM log_head WHERE customer_id = c FOR UPDATE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 0::bigint, -2, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bytea;
                RETURN;
            END IF;
            t_now := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

            IF cardinality(m_client) > 0 THEN
                RETURN QUERY
                WITH x AS MATERIALIZED (
                    SELECT u.*, t.last_number, p.read_number,
                        (t.id IS NOT NULL AND p.user_id IS NOT NULL AND p.left_number IS NULL) AS member,
                        t.closed, e.position AS old_position, e.number AS old_number, e.at AS old_at,
                        e.body_hash AS old_hash,
                        row_number() OVER (PARTITION BY u.author, u.client ORDER BY u.ord) AS repeat
                    FROM unnest(m_client, m_thread, m_author, m_device, m_priority, m_hash, m_body) WITH ORDINALITY
                        AS u (client, thread, author, device, priority, hash, body, ord)
                    LEFT JOIN thread t ON t.id = u.thread AND t.customer_id = c
                    LEFT JOIN participant p ON p.thread_id = u.thread AND p.user_id = u.author
                    LEFT JOIN entry e ON e.author_id = u.author AND e.client_id = u.client AND e.client_id IS NOT NULL
                ),
                y AS MATERIALIZED (
                    SELECT x.*, h + sum((x.outcome = 0)::int) OVER (ORDER BY x.ord) AS new_position,
                        x.last_number + sum((x.outcome = 0)::int) OVER (PARTITION BY x.thread ORDER BY x.ord)
                            AS new_number,
                        row_number() OVER (PARTITION BY x.thread, x.author, x.outcome ORDER BY x.ord) AS own
                    FROM (
                        SELECT x.*, CASE
                            WHEN x.old_position IS NOT NULL AND x.old_hash = x.hash THEN 1
                            WHEN x.old_position IS NOT NULL THEN 2
                            WHEN x.member IS NOT TRUE THEN 3
                            WHEN x.closed <> 0 THEN 4
                            WHEN x.repeat > 1 THEN 5
                            ELSE 0 END AS outcome
                        FROM x) x
                ),
                inserted AS (
                    INSERT INTO entry (customer_id, position, thread_id, number, author_id, device_id, at, body_hash,
                                       kind, priority, client_id, body)
                    SELECT c, new_position, thread, new_number, author, device, t_now, hash, 1, priority, client, body
                    FROM y WHERE outcome = 0
                ),
                threads AS (
                    UPDATE thread t SET last_number = m.n, last_position = m.p, last_shown_position = m.p
                    FROM (SELECT thread, max(new_number) n, max(new_position) p FROM y WHERE outcome = 0
                          GROUP BY thread) m
                    WHERE t.id = m.thread
                ),
                own_reads AS (
                    UPDATE participant p SET read_number = m.n, delivered_number = m.n
                    FROM (SELECT thread, author, max(new_number) n FROM y
                          WHERE outcome = 0 AND read_number = last_number AND new_number = last_number + own
                          GROUP BY thread, author) m
                    WHERE p.thread_id = m.thread AND p.user_id = m.author
                ),
                replayed AS (
                    UPDATE entry e SET replays = e.replays + 1
                    FROM (SELECT DISTINCT old_position FROM y WHERE outcome = 1) r
                    WHERE e.customer_id = c AND e.position = r.old_position
                )
                SELECT y.ord, y.outcome, CASE WHEN y.outcome = 0 THEN y.new_position ELSE y.old_position END::bigint,
                    CASE WHEN y.outcome = 0 THEN y.new_number ELSE y.old_number END::bigint,
                    CASE WHEN y.outcome = 0 THEN t_now ELSE y.old_at END, NULL::bigint, NULL::bytea
                FROM y ORDER BY y.ord;
                SELECT count(*) INTO accepted FROM entry WHERE customer_id = c AND position > h;
            END IF;

            IF cardinality(r_thread) > 0 THEN
                RETURN QUERY
                WITH r AS MATERIALIZED (
                    SELECT u.thread, u.reader, least(max(greatest(u.delivered, u.read)), t.last_number) AS delivered,
                        least(max(u.read), t.last_number) AS read
                    FROM unnest(r_thread, r_user, r_delivered, r_read) AS u (thread, reader, delivered, read)
                    JOIN thread t ON t.id = u.thread AND t.customer_id = c
                    GROUP BY u.thread, u.reader, t.last_number
                ),
                moved AS (
                    UPDATE participant p SET delivered_number = greatest(p.delivered_number, r.delivered),
                        read_number = greatest(p.read_number, r.read)
                    FROM r
                    WHERE p.thread_id = r.thread AND p.user_id = r.reader AND p.left_number IS NULL
                        AND (p.delivered_number < r.delivered OR p.read_number < r.read)
                    RETURNING p.thread_id, p.user_id, p.delivered_number, p.read_number
                ),
                merged AS (
                    SELECT thread_id,
                        convert_to(string_agg(user_id || ' ' || delivered_number || ' ' || read_number, E'\\n'
                                              ORDER BY user_id), 'UTF8') AS body,
                        h + accepted + row_number() OVER (ORDER BY thread_id) AS new_position
                    FROM moved GROUP BY thread_id
                ),
                inserted AS (
                    INSERT INTO entry (customer_id, position, thread_id, at, body_hash, kind, body)
                    SELECT c, new_position, thread_id, t_now, 0, 2, body FROM merged
                ),
                threads AS (
                    UPDATE thread t SET last_position = m.new_position FROM merged m WHERE t.id = m.thread_id
                )
                SELECT 0::bigint, 0, m.new_position::bigint, NULL::bigint, t_now, m.thread_id, m.body
                FROM merged m ORDER BY m.new_position;
                SELECT count(*) INTO receipts FROM entry WHERE customer_id = c AND position > h + accepted;
            END IF;

            IF accepted + receipts > 0 THEN
                UPDATE log_head SET head = h + accepted + receipts WHERE customer_id = c;
            END IF;
        END $$;
        """
}
