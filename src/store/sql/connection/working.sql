-- scope: host, workers look after the connections of all tenants
-- The four lists jump from one connection that has such rows to the next, however many rows each has: who has none costs nothing.
-- `|| ''` keeps planners away from ledger_open, where a large job has all its rows.
WITH RECURSIVE
leaving (id) AS (
    SELECT (SELECT w.connection_id FROM withdrawal w WHERE w.phase <> 'done' ORDER BY w.connection_id LIMIT 1)
    UNION ALL
    SELECT (SELECT w.connection_id FROM withdrawal w WHERE w.phase <> 'done' AND w.connection_id > l.id ORDER BY w.connection_id LIMIT 1)
    FROM leaving l WHERE l.id IS NOT NULL),
unknown (id) AS (
    SELECT (SELECT h.connection_id FROM holding h WHERE h.held = 'unknown' ORDER BY h.connection_id LIMIT 1)
    UNION ALL
    SELECT (SELECT h.connection_id FROM holding h WHERE h.held = 'unknown' AND h.connection_id > u.id ORDER BY h.connection_id LIMIT 1)
    FROM unknown u WHERE u.id IS NOT NULL),
dirtied (id) AS (
    SELECT (SELECT d.connection_id FROM dirty d ORDER BY d.connection_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.connection_id FROM dirty d WHERE d.connection_id > s.id ORDER BY d.connection_id LIMIT 1)
    FROM dirtied s WHERE s.id IS NOT NULL),
changed (id) AS (
    SELECT (SELECT t.connection_id FROM touched t ORDER BY t.connection_id LIMIT 1)
    UNION ALL
    SELECT (SELECT t.connection_id FROM touched t WHERE t.connection_id > s.id ORDER BY t.connection_id LIMIT 1)
    FROM changed s WHERE s.id IS NOT NULL),
due (id, account_id, state) AS (
    SELECT c.id, c.account_id, c.state FROM connection c LEFT JOIN walk k ON k.connection_id = c.id
    WHERE c.backoff_until <= $1 AND (
        c.state = 'suspended'
        OR (c.list_id <> '' AND (
            k.finished_at IS NULL OR k.started_at <= $3 OR k.started_at < c.walk_wanted_at
            OR c.walked_at IS NULL OR c.walked_at < k.started_at
            OR (c.state IN ('shadow', 'active') AND c.id IN (SELECT r.connection_id FROM run r WHERE r.is_open
                    AND (r.state <> 'awaiting_confirmation' OR r.cancelling)))
            OR c.id IN (SELECT s.id FROM changed s WHERE s.id IS NOT NULL)
            OR (c.state = 'active' AND c.id IN (SELECT s.id FROM dirtied s WHERE s.id IS NOT NULL))
            OR c.id IN (SELECT j.connection_id FROM job j WHERE j.state = 'running' AND j.next_at <= $1)
            OR c.id IN (SELECT u.id FROM unknown u WHERE EXISTS (SELECT 1 FROM holding h WHERE h.connection_id = u.id
                    AND h.held = 'unknown' AND h.unsettled_until <= $1 AND NOT EXISTS (SELECT 1 FROM ledger l
                    WHERE l.connection_id = h.connection_id AND l.mailbox_id = h.mailbox_id AND l.op = 'add' AND l.outcome || '' = 'pending')))))
        OR (c.state <> 'shadow' AND c.id IN (SELECT l.id FROM leaving l WHERE EXISTS (SELECT 1 FROM withdrawal w
                WHERE w.connection_id = l.id AND w.phase <> 'done' AND w.run_at <= $1)))))
SELECT d.id, d.account_id, CAST(CASE WHEN EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = d.id
        AND w.phase <> 'done' AND w.phase <> 'watch' AND w.run_at <= $1) THEN 1 ELSE 0 END AS BIGINT)
FROM due d JOIN account a ON a.id = d.account_id
WHERE a.lease_owner IS NULL OR a.lease_owner = $2 OR a.lease_until < $1
