-- scope: host, alarms and metrics watch the connections of all tenants
SELECT tenant_id, id, provider, state, failures, hooks_state FROM connection ORDER BY id
