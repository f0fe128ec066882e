SELECT sealed FROM subject_key WHERE tenant_id = $1 AND address_id = $2
