SELECT mailbox_id FROM withdrawal
WHERE tenant_id = $1 AND connection_id = $2 AND phase IN ('send', 'confirm')
  AND mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($3 AS JSON)))
