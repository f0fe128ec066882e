SELECT tenant_id, connection_id, id, received_at, body, state, note, attempts, repeats FROM inbox
WHERE tenant_id = $1 AND ($2 = '' OR state = $2) ORDER BY received_at DESC, id LIMIT $3
