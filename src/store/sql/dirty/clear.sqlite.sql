DELETE FROM dirty WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id IN (SELECT unhex(value) FROM json_each($3))
