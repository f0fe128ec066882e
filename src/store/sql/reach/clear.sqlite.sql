DELETE FROM reach
WHERE tenant_id = $1 AND purpose_id IN (SELECT id FROM purpose WHERE tenant_id = $1)
  AND mailbox_id IN (SELECT unhex(value) FROM json_each($2))
