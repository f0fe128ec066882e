UPDATE run_item SET outcome = $4, code = $5, message = $6
WHERE tenant_id = $1 AND run_id = $2 AND n IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($3 AS JSON)))
