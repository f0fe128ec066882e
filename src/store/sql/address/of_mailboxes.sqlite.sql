SELECT id, mailbox_id, exact, role FROM address
WHERE tenant_id = $1 AND mailbox_id IN (SELECT unhex(value) FROM json_each($2)) ORDER BY mailbox_id, id
