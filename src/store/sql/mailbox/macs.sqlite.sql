SELECT m.id, m.mac FROM json_each($2) j CROSS JOIN mailbox m ON m.tenant_id = $1 AND m.mac = unhex(j.value)
