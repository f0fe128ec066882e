INSERT INTO dirty (tenant_id, connection_id, mailbox_id, since)
SELECT c.tenant_id, c.id, CAST(j.value AS UUID), CAST($3 AS BIGINT)
FROM connection c CROSS JOIN json_array_elements_text(CAST($2 AS JSON)) j WHERE c.tenant_id = $1
ON CONFLICT (connection_id, mailbox_id) DO NOTHING
