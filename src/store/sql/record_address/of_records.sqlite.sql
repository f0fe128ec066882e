SELECT record_id, address_id, mailbox_id FROM record_address
WHERE tenant_id = $1 AND record_id IN (SELECT unhex(value) FROM json_each($2)) ORDER BY record_id, position
