SELECT m.id, r.on_list, r.unsubscribed, r.blocked FROM mailbox m
JOIN remote_contact r ON r.connection_id = $2 AND r.mac = m.mac
WHERE m.tenant_id = $1 AND m.id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($3 AS JSON)))
