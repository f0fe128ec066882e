SELECT DISTINCT mailbox_id FROM ledger
WHERE tenant_id = $1 AND connection_id = $2 AND op = 'add' AND outcome IN ('sent', 'pending')
  AND mailbox_id IN (SELECT unhex(value) FROM json_each($3))
