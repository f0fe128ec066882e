SELECT address_id, sealed FROM subject_key WHERE tenant_id = $1 AND address_id IN (SELECT unhex(value) FROM json_each($2))
