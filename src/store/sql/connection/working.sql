-- scope: host, workers look after the connections of all tenants
SELECT c.id, c.account_id, CAST(CASE WHEN EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = c.id AND w.phase IN ('send', 'confirm') AND w.run_at <= $1) THEN 1 ELSE 0 END AS BIGINT)
FROM connection c JOIN account a ON a.id = c.account_id
WHERE c.backoff_until <= $1 AND (a.lease_owner IS NULL OR a.lease_owner = $2 OR a.lease_until < $1) AND (
    c.state = 'suspended'
    OR (c.state <> 'shadow' AND EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = c.id
                                        AND w.phase IN ('send', 'confirm', 'watch') AND w.run_at <= $1))
    OR (c.list_id <> '' AND (
        (c.state IN ('shadow', 'active') AND EXISTS (SELECT 1 FROM run r WHERE r.connection_id = c.id AND r.is_open
                AND (r.state <> 'awaiting_confirmation' OR r.cancelling)))
        OR EXISTS (SELECT 1 FROM touched t WHERE t.connection_id = c.id)
        OR EXISTS (SELECT 1 FROM walk k WHERE k.connection_id = c.id AND k.finished_at IS NOT NULL
                   AND (c.walked_at IS NULL OR c.walked_at < k.started_at))
        OR (c.state = 'active' AND EXISTS (SELECT 1 FROM dirty d WHERE d.connection_id = c.id))
        OR EXISTS (SELECT 1 FROM job j WHERE j.connection_id = c.id AND j.state = 'running' AND j.next_at <= $1)
        OR EXISTS (SELECT 1 FROM holding h WHERE h.connection_id = c.id AND h.held = 'unknown' AND h.unsettled_until <= $1)
        OR NOT EXISTS (SELECT 1 FROM walk k WHERE k.connection_id = c.id AND k.finished_at IS NOT NULL AND k.started_at > $3
                       AND (c.walk_wanted_at IS NULL OR k.started_at >= c.walk_wanted_at)))))
