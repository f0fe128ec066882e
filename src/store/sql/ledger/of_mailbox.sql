SELECT op, basis_seq, head_seq, settled, outcome, issued_at, answered_at FROM ledger
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id = $3 ORDER BY issued_at, n LIMIT 200
