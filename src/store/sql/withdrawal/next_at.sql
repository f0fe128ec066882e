SELECT MIN(run_at) FROM withdrawal WHERE tenant_id = $1 AND connection_id = $2 AND phase <> 'done'
