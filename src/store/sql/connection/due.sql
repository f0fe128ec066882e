-- scope: host, the bell rings for the connections of all tenants
SELECT tenant_id, id, cron, time_zone, next_at FROM connection
WHERE next_at IS NOT NULL AND next_at <= $1 AND state = 'active' ORDER BY next_at LIMIT $2
