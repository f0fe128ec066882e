UPDATE purpose SET name = $3, body = $4, text_version = $5, validity_days = $6 WHERE tenant_id = $1 AND id = $2
