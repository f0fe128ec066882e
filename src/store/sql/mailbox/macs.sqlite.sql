SELECT id, mac FROM mailbox WHERE tenant_id = $1 AND mac IN (SELECT unhex(value) FROM json_each($2))
