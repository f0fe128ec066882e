DELETE FROM reach
WHERE tenant_id = $1 AND purpose_id IN (SELECT id FROM purpose WHERE tenant_id = $1)
  AND mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))
