INSERT INTO run (tenant_id, connection_id, id, cause, dry, state, is_open, cancelling, confirmed_by, guard, error, cursor,
                 requested_at, tries, resume_at, planned_at, finished_at)
VALUES ($1, $2, $3, $4, $5, 'requested', TRUE, FALSE, '', '', '', NULL, $6, 0, 0, NULL, NULL)
ON CONFLICT (connection_id) WHERE is_open DO NOTHING
