SELECT lease_until FROM connection WHERE tenant_id = $1 AND id = $2
