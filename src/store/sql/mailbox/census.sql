WITH seen AS MATERIALIZED (
    SELECT m.id, r.state, r.flags, r.in_crm, r.valid_until,
           CASE WHEN r.mailbox_id IS NULL OR r.spelled OR r.shared
                     OR EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = $2 AND w.mailbox_id = m.id AND w.phase IN ('send', 'confirm'))
                THEN 'weigh'
                WHEN h.held = 'subscribed' AND r.in_crm AND h.mapping = $6
                     AND h.person = (SELECT q.person FROM record q WHERE q.tenant_id = $1 AND q.id = r.record_id)
                     AND (SELECT CASE WHEN s.state = 'accepted' AND s.flags = 0 AND s.basis_seq <= h.basis_seq
                                           AND (s.valid_until IS NULL OR s.valid_until > $7) THEN TRUE ELSE FALSE END
                          FROM standing s WHERE s.tenant_id = $1 AND s.mailbox_id = m.id AND s.purpose_id = $3 LIMIT 1)
                THEN 'current'
                WHEN h.held IN ('subscribed', 'unknown')
                     OR (r.state = 'accepted' AND r.flags = 0 AND r.in_crm AND (r.valid_until IS NULL OR r.valid_until > $7))
                THEN 'weigh'
                ELSE 'quiet' END AS class
    FROM mailbox m
    LEFT JOIN reach r ON r.tenant_id = m.tenant_id AND r.purpose_id = $3 AND r.mailbox_id = m.id
    LEFT JOIN holding h ON h.connection_id = $2 AND h.mailbox_id = m.id
    WHERE m.tenant_id = $1 AND m.id > $4 AND m.id <= $5
), told AS (
    SELECT class, CASE WHEN class = 'weigh' THEN id END AS weighed,
           CASE WHEN class = 'quiet' THEN state ELSE '' END AS state, CASE WHEN class = 'quiet' THEN flags ELSE 0 END AS flags,
           CASE WHEN class = 'quiet' AND in_crm THEN CAST(1 AS BIGINT) ELSE 0 END AS in_crm,
           CASE WHEN class = 'quiet' AND valid_until <= $7 THEN CAST(1 AS BIGINT) ELSE 0 END AS lapsed
    FROM seen
)
SELECT class, state, flags, in_crm, lapsed, weighed, COUNT(*) AS people FROM told GROUP BY class, state, flags, in_crm, lapsed, weighed
