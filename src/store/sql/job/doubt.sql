UPDATE holding SET add_unknown_at = $4, unsettled_until = $5
WHERE tenant_id = $1 AND connection_id = $2 AND held = 'unknown'
  AND mailbox_id IN (SELECT l.mailbox_id FROM ledger l WHERE l.connection_id = $2 AND l.op = 'add' AND l.outcome = 'pending' AND l.job = $3)
