INSERT INTO event (tenant_id, connection_id, fingerprint, inbox_id, kind, disposition, seen_at, repeats)
VALUES /*rows*/
