UPDATE event SET repeats = repeats + 1
WHERE tenant_id = $1 AND connection_id = $2
  AND fingerprint IN (SELECT decode(value, 'hex') FROM json_array_elements_text(CAST($3 AS JSON)))
