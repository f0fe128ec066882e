UPDATE inbox SET state = $3, note = $4, lease_until = 0
WHERE tenant_id = $1 AND id IN (SELECT unhex(value) FROM json_each($2))
