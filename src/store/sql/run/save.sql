UPDATE run SET state = $3, is_open = $4, confirmed_by = $5, guard = $6, error = $7, cursor = $8, tries = $9, resume_at = $10,
               planned_at = $11, finished_at = $12
WHERE tenant_id = $1 AND id = $2
