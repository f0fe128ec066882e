SELECT state, COUNT(*) FROM standing WHERE tenant_id = $1 AND purpose_id = $2 GROUP BY state
