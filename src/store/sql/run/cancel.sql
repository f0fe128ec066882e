UPDATE run SET cancelling = TRUE WHERE tenant_id = $1 AND id = $2 AND is_open
