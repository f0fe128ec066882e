UPDATE connection SET walked_at = $3, walk_wanted_at = CASE WHEN walk_wanted_at > $3 THEN walk_wanted_at END WHERE tenant_id = $1 AND id = $2
