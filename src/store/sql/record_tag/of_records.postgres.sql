SELECT record_id, tag FROM record_tag
WHERE tenant_id = $1 AND record_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON))) ORDER BY record_id, tag
