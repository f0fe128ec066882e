UPDATE walk SET cursor = $3, pages = pages + 1 WHERE tenant_id = $1 AND connection_id = $2
