UPDATE connection SET base_url = $3, sealed_credentials = $4, options = $5, list_id = $6, mapping = $7, cron = $8, time_zone = $9,
    next_at = $10, guard_percent = $11, guard_count = $12, state = $13, state_reason = $14, sealed_hooks = $15, account_id = $16, walk_wanted_at = $17
WHERE tenant_id = $1 AND id = $2
