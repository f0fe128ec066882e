SELECT tenant_id, connection_id, id, cause, dry, state, cancelling, confirmed_by, guard, error, cursor, requested_at, tries, resume_at, planned_at, finished_at FROM run
WHERE tenant_id = $1 AND id = $2
