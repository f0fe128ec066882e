INSERT INTO job (tenant_id, connection_id, run_id, name, state, polls, next_at, started_at) VALUES ($1, $2, $3, $4, 'running', 0, $5, $6)
ON CONFLICT (connection_id, name) DO NOTHING
