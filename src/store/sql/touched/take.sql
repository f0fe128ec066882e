SELECT mailbox_id FROM touched WHERE tenant_id = $1 AND connection_id = $2 ORDER BY since, mailbox_id LIMIT $3
