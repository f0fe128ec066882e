UPDATE event SET disposition = $4 WHERE tenant_id = $1 AND connection_id = $2 AND fingerprint = $3
