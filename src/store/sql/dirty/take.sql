SELECT mailbox_id FROM dirty WHERE tenant_id = $1 AND connection_id = $2 ORDER BY mailbox_id LIMIT $3
