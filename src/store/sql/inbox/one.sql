SELECT tenant_id, connection_id, id, received_at, body, state, note, attempts, repeats FROM inbox WHERE tenant_id = $1 AND id = $2
