DELETE FROM dirty WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id > $3 AND mailbox_id <= $4
