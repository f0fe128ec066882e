SELECT name, polls, next_at, started_at FROM job WHERE tenant_id = $1 AND connection_id = $2 AND state = 'running' ORDER BY next_at, name LIMIT 100
