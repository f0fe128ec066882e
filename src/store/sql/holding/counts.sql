SELECT held, COUNT(*) FROM holding WHERE tenant_id = $1 AND connection_id = $2 GROUP BY held
