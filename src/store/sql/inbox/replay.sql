UPDATE inbox SET state = 'new', note = '', attempts = 0, lease_until = 0
WHERE tenant_id = $1 AND state <> 'new' AND (id = $2 OR ($2 IS NULL AND state IN ('quarantined', 'failed')))
