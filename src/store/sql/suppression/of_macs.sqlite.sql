SELECT mac, purpose_id FROM suppression WHERE tenant_id = $1 AND mac IN (SELECT unhex(value) FROM json_each($2))
