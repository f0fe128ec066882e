SELECT id FROM mailbox WHERE tenant_id = $1 AND mac = $2
