UPDATE event SET repeats = repeats + 1 WHERE tenant_id = $1 AND connection_id = $2 AND fingerprint = $3
