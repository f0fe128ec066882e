SELECT i.n, i.mailbox_id, i.address_id, m.mac FROM run_item i JOIN mailbox m ON m.tenant_id = i.tenant_id AND m.id = i.mailbox_id
WHERE i.tenant_id = $1 AND i.run_id = $2 AND i.outcome = 'pending' AND i.n > $3 ORDER BY i.n LIMIT $4
