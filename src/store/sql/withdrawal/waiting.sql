-- scope: host, alarms and metrics watch the withdrawals of all tenants
SELECT w.tenant_id, w.connection_id, COUNT(*), CAST(MIN(w.requested_at) AS BIGINT)
FROM withdrawal w JOIN connection c ON c.id = w.connection_id
WHERE w.in_effect_at IS NULL AND c.state <> 'shadow' GROUP BY w.tenant_id, w.connection_id
