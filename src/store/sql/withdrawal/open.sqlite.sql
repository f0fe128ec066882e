SELECT mailbox_id FROM withdrawal
WHERE tenant_id = $1 AND connection_id = $2 AND phase IN ('send', 'confirm') AND mailbox_id IN (SELECT unhex(value) FROM json_each($3))
