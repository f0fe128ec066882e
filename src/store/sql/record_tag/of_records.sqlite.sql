SELECT record_id, tag FROM record_tag
WHERE tenant_id = $1 AND record_id IN (SELECT unhex(value) FROM json_each($2)) ORDER BY record_id, tag
