UPDATE inbox SET state = $3, note = $4, lease_until = 0
WHERE tenant_id = $1 AND id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))
