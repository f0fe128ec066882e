SELECT id, mailbox_id, exact, role FROM address WHERE tenant_id = $1 AND mailbox_id = $2 ORDER BY id
