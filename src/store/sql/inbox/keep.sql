INSERT INTO inbox (tenant_id, connection_id, id, received_at, digest, body, state, note, attempts, repeats, lease_until)
VALUES /*rows*/
ON CONFLICT (connection_id, digest) DO UPDATE SET repeats = inbox.repeats + 1
