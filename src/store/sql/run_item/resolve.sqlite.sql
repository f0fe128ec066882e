UPDATE run_item SET outcome = $4, code = $5, message = $6
WHERE tenant_id = $1 AND run_id = $2 AND n IN (SELECT value FROM json_each($3))
