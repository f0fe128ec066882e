INSERT INTO dirty (tenant_id, connection_id, mailbox_id, since)
SELECT c.tenant_id, c.id, unhex(j.value), $3 FROM connection c CROSS JOIN json_each($2) j WHERE c.tenant_id = $1
ON CONFLICT (connection_id, mailbox_id) DO NOTHING
