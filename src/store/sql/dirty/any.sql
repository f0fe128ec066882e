SELECT COUNT(*) FROM (SELECT 1 FROM dirty WHERE tenant_id = $1 AND connection_id = $2 LIMIT 1) AS found
