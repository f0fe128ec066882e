-- scope: host, alarms watch over all tenants
SELECT tenant_id, connection_id, CAST(count(*) AS BIGINT) FROM event
WHERE disposition = 'withdrawn' AND seen_at > $1 GROUP BY tenant_id, connection_id HAVING count(*) > $2
