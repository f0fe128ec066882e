SELECT COUNT(*) FROM ledger
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id = $3 AND issued_at > $4
  AND op = 'unsub' AND outcome IN ('sent', 'pending', 'unknown')
