INSERT INTO run (tenant_id, connection_id, id, cause, dry, state, is_open, cancelling, confirmed_by, guard, error, cursor,
                 requested_at, tries, resume_at, planned_at, finished_at)
SELECT c.tenant_id, c.id, unhex(j.value ->> 'run'), 'schedule', FALSE, 'requested', TRUE, FALSE, '', '', '', NULL, $2, 0, 0, NULL, NULL
FROM json_each($1) j JOIN connection c ON c.id = unhex(j.value ->> 'connection') WHERE TRUE
ON CONFLICT (connection_id) WHERE is_open DO NOTHING
