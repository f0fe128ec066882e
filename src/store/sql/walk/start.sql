INSERT INTO walk (tenant_id, connection_id, id, cursor, pages, started_at, finished_at) VALUES ($1, $2, $3, NULL, 0, $4, NULL)
ON CONFLICT (connection_id) DO UPDATE SET id = excluded.id, cursor = NULL, pages = 0, started_at = excluded.started_at, finished_at = NULL
