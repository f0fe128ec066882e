UPDATE job SET next_at = $3
WHERE tenant_id = $1 AND connection_id = $2 AND state = 'running' AND next_at < $3
