INSERT INTO connection (tenant_id, id, slug, provider, base_url, sealed_credentials, options, list_id, purpose_id, mapping, cron, time_zone,
    next_at, guard_percent, guard_count, state, state_reason, hook_key, sealed_hooks, hooks_state, walked_at, walk_wanted_at,
    backoff_until, failures, created_at, account_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, 0, 0, $23, $24)
