-- scope: host, the bell rings for the connections of all tenants
SELECT c.id, c.cron, c.time_zone FROM connection c
WHERE c.next_at <= $1 AND c.state = 'active' AND NOT EXISTS (SELECT 1 FROM run r WHERE r.connection_id = c.id AND r.is_open)
ORDER BY c.next_at LIMIT $2
FOR NO KEY UPDATE OF c SKIP LOCKED
