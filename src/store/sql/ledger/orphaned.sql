UPDATE ledger SET outcome = 'unknown' WHERE tenant_id = $1 AND connection_id = $2 AND outcome = 'sent'
