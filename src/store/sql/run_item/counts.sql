SELECT action, outcome, COUNT(*) FROM run_item WHERE tenant_id = $1 AND run_id = $2 GROUP BY action, outcome
