-- scope: host, workers look after the connections of all tenants; one row an account
SELECT tenant_id, id, slug, provider, base_url, account_id, sealed_credentials, options, list_id, purpose_id, mapping, cron, time_zone, next_at, guard_percent, guard_count, state, state_reason, hook_key, sealed_hooks, hooks_state, walked_at, walk_wanted_at, backoff_until, failures, created_at
FROM connection ORDER BY id
