SELECT DISTINCT a.mailbox_id FROM statement s JOIN address a ON a.tenant_id = s.tenant_id AND a.id = s.address_id
WHERE s.tenant_id = $1 AND s.seq > $2
