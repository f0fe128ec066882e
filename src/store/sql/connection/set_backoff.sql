UPDATE connection SET backoff_until = $3, failures = $4 WHERE tenant_id = $1 AND id = $2
