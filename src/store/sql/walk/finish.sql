UPDATE walk SET finished_at = $3 WHERE tenant_id = $1 AND connection_id = $2
