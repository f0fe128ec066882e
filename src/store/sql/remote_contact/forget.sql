DELETE FROM remote_contact WHERE tenant_id = $1 AND connection_id = $2 AND walk_id <> $3
