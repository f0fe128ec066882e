INSERT INTO run (tenant_id, connection_id, id, cause, dry, state, is_open, cancelling, confirmed_by, guard, error, cursor,
                 requested_at, tries, resume_at, planned_at, finished_at)
SELECT c.tenant_id, c.id, CAST(j.value ->> 'run' AS UUID), 'schedule', FALSE, 'requested', TRUE, FALSE, '', '', '', NULL, CAST($2 AS BIGINT),
       0, 0, NULL, NULL
FROM json_array_elements(CAST($1 AS JSON)) j JOIN connection c ON c.id = CAST(j.value ->> 'connection' AS UUID)
ON CONFLICT (connection_id) WHERE is_open DO NOTHING
