SELECT n, mailbox_id, address_id, action, reason FROM run_item
WHERE tenant_id = $1 AND run_id = $2 AND outcome = '' AND action IN ('withdraw', $3) ORDER BY n LIMIT $4
