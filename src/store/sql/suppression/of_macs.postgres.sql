SELECT mac, purpose_id FROM suppression
WHERE tenant_id = $1 AND mac IN (SELECT decode(value, 'hex') FROM json_array_elements_text(CAST($2 AS JSON)))
