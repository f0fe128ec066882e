SELECT purpose_id, reason, since FROM suppression WHERE tenant_id = $1 AND mac = $2
