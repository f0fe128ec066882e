SELECT id, cursor, pages, started_at, finished_at FROM walk WHERE tenant_id = $1 AND connection_id = $2
