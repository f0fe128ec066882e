-- scope: host, alarms and metrics watch the connections of all tenants
SELECT c.tenant_id, c.id, c.provider, c.state, c.failures, c.hooks_state, c.next_at, c.walked_at,
    COALESCE(j.jobs, 0) AS jobs, j.oldest AS oldest_job, COALESCE(d.people, 0) AS dirty, d.oldest AS oldest_dirty,
    COALESCE(r.state, '') AS run_state, r.requested_at AS run_requested_at,
    (SELECT f.finished_at FROM run f WHERE f.connection_id = c.id AND f.state = 'done'
     ORDER BY f.requested_at DESC LIMIT 1) AS synced_at
FROM connection c
LEFT JOIN (SELECT connection_id, CAST(COUNT(*) AS BIGINT) AS jobs, CAST(MIN(started_at) AS BIGINT) AS oldest
           FROM job WHERE state = 'running' GROUP BY connection_id) j ON j.connection_id = c.id
LEFT JOIN (SELECT connection_id, CAST(COUNT(*) AS BIGINT) AS people, CAST(MIN(since) AS BIGINT) AS oldest
           FROM dirty GROUP BY connection_id) d ON d.connection_id = c.id
LEFT JOIN run r ON r.connection_id = c.id AND r.is_open
ORDER BY c.id
