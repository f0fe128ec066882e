INSERT INTO incident (tenant_id, connection_id, kind, subject, detail, count, opened_at, seen_at, closed_at)
VALUES ($1, $2, $3, $4, $5, 1, $6, $6, NULL)
ON CONFLICT (connection_id, kind, subject) DO UPDATE SET
    detail = excluded.detail, seen_at = excluded.seen_at, closed_at = NULL,
    count = CASE WHEN incident.closed_at IS NULL THEN incident.count + 1 ELSE 1 END,
    opened_at = CASE WHEN incident.closed_at IS NULL THEN incident.opened_at ELSE excluded.opened_at END
