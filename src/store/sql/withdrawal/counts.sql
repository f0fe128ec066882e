SELECT phase, COUNT(*) FROM withdrawal WHERE tenant_id = $1 AND connection_id = $2 GROUP BY phase
