SELECT DISTINCT mailbox_id FROM ledger
WHERE tenant_id = $1 AND connection_id = $2 AND op = 'add' AND outcome IN ('sent', 'pending')
  AND mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($3 AS JSON)))
