UPDATE ledger SET outcome = $4, job = $5, answered_at = $6 WHERE tenant_id = $1 AND connection_id = $2 AND batch_id = $3
