INSERT INTO run_skip (tenant_id, run_id, reason, people) VALUES ($1, $2, $3, $4)
ON CONFLICT (run_id, reason) DO UPDATE SET people = run_skip.people + excluded.people
