UPDATE job SET state = $4, polls = $5, next_at = $6 WHERE tenant_id = $1 AND connection_id = $2 AND name = $3
