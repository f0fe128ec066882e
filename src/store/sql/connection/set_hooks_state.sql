UPDATE connection SET hooks_state = $3 WHERE tenant_id = $1 AND id = $2
