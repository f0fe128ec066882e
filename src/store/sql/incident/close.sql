UPDATE incident SET closed_at = $5 WHERE tenant_id = $1 AND connection_id = $2 AND kind = $3 AND subject = $4 AND closed_at IS NULL
