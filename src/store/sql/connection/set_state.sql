UPDATE connection SET state = $3, state_reason = $4 WHERE tenant_id = $1 AND id = $2
