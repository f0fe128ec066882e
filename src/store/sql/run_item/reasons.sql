SELECT action, reason, COUNT(*) FROM run_item WHERE tenant_id = $1 AND run_id = $2 GROUP BY action, reason ORDER BY action, reason
