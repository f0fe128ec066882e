SELECT COUNT(*) FROM standing WHERE tenant_id = $1
