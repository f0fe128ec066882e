INSERT INTO touched (tenant_id, connection_id, mailbox_id, since)
SELECT $1, $2, $3, $4
WHERE NOT EXISTS (SELECT 1 FROM ledger l WHERE l.tenant_id = $1 AND l.connection_id = $2 AND l.mailbox_id = $3 AND l.issued_at > $5)
ON CONFLICT (connection_id, mailbox_id) DO NOTHING
