UPDATE ledger SET outcome = $5, job = $6, answered_at = $7
WHERE tenant_id = $1 AND connection_id = $2 AND batch_id = $3 AND n IN (SELECT value FROM json_each($4))
