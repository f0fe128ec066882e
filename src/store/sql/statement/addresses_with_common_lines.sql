SELECT DISTINCT s.address_id, a.mailbox_id
FROM statement s JOIN address a ON a.tenant_id = s.tenant_id AND a.id = s.address_id
WHERE s.tenant_id = $1 AND s.purpose_id IS NULL AND s.address_id > $2 ORDER BY s.address_id LIMIT $3
