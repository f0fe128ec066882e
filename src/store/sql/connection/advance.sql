UPDATE connection SET next_at = $4 WHERE tenant_id = $1 AND id = $2 AND next_at = $3
