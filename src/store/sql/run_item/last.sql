SELECT COALESCE(MAX(n), 0) FROM run_item WHERE tenant_id = $1 AND run_id = $2
