SELECT m.id, r.on_list, r.unsubscribed, r.blocked
FROM json_each($3) j CROSS JOIN mailbox m ON m.tenant_id = $1 AND m.id = unhex(j.value)
CROSS JOIN remote_contact r ON r.connection_id = $2 AND r.mac = m.mac
