SELECT name, polls, next_at, started_at FROM job
WHERE tenant_id = $1 AND connection_id = $2 AND state = 'running' ORDER BY polls, started_at, name LIMIT 1000
