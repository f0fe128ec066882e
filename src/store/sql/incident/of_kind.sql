-- scope: host, alarms of all tenants are closed when what they were about is over
SELECT tenant_id, connection_id, subject FROM incident WHERE kind = $1 AND closed_at IS NULL
