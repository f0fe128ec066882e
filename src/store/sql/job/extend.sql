UPDATE holding SET unsettled_until = $4
WHERE tenant_id = $1 AND connection_id = $2 AND held = 'unknown' AND unsettled_until < $5
  AND mailbox_id IN (SELECT l.mailbox_id FROM ledger l WHERE l.connection_id = $2 AND l.outcome = 'pending' AND l.job = $3)
