SELECT ra.mailbox_id, r.bin FROM record_address ra
JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id
WHERE ra.tenant_id = $1 AND ra.mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))
