UPDATE ledger SET outcome = $5, job = $6, answered_at = $7
WHERE tenant_id = $1 AND connection_id = $2 AND batch_id = $3
  AND n IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($4 AS JSON)))
