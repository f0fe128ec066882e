SELECT scope FROM withdrawal WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id = $3
