SELECT w.mailbox_id, w.address_id, a.exact, w.scope, w.basis_seq, w.requested_at, w.attempts, w.settled, w.watch, w.run_at, w.phase
FROM withdrawal w JOIN address a ON a.tenant_id = w.tenant_id AND a.id = w.address_id
WHERE w.tenant_id = $1 AND w.connection_id = $2 AND w.phase = $3 AND w.run_at <= $4 ORDER BY w.run_at, w.mailbox_id LIMIT $5
