UPDATE connection SET walked_at = $3, walk_wanted_at = NULL WHERE tenant_id = $1 AND id = $2
