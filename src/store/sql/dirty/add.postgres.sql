INSERT INTO dirty (tenant_id, connection_id, mailbox_id, since)
SELECT c.tenant_id, c.id, m.id, CAST($4 AS BIGINT) FROM connection c JOIN mailbox m ON m.tenant_id = c.tenant_id
WHERE c.tenant_id = $1 AND m.id = $2 AND c.purpose_id = $3
ON CONFLICT (connection_id, mailbox_id) DO NOTHING
