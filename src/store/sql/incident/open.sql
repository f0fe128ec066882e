SELECT connection_id, kind, subject, detail, count, opened_at, seen_at FROM incident
WHERE tenant_id = $1 AND closed_at IS NULL ORDER BY opened_at DESC, kind, subject LIMIT $2
