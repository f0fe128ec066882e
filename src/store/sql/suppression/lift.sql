DELETE FROM suppression WHERE tenant_id = $1 AND mac = $2 AND purpose_id = $3
