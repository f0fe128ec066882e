SELECT e.fingerprint FROM json_each($3) j
CROSS JOIN event e ON e.tenant_id = $1 AND e.connection_id = $2 AND e.fingerprint = unhex(j.value)
