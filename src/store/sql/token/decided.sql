UPDATE token SET decided = $3, decided_at = $4 WHERE tenant_id = $1 AND hash = $2
