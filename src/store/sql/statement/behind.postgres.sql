SELECT address_id, seq, kind, actor, recorded_at FROM statement
WHERE tenant_id = $1 AND (purpose_id IS NULL OR purpose_id = $2)
  AND address_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($3 AS JSON)))
