SELECT COUNT(*) FROM standing
WHERE tenant_id = $1 AND seq > $2 AND mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($3 AS JSON)))
