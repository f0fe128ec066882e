SELECT reason, people FROM run_skip WHERE tenant_id = $1 AND run_id = $2 ORDER BY reason
