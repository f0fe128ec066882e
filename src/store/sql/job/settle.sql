UPDATE ledger SET outcome = $4 WHERE tenant_id = $1 AND connection_id = $2 AND job = $3 AND outcome = 'pending'
