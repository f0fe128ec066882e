INSERT INTO event (tenant_id, connection_id, fingerprint, inbox_id, kind, disposition, seen_at, repeats)
VALUES ($1, $2, $3, $4, $5, '', $6, 0)
ON CONFLICT (connection_id, fingerprint) DO NOTHING
