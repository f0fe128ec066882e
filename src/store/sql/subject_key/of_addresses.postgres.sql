SELECT address_id, sealed FROM subject_key
WHERE tenant_id = $1 AND address_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))
