SELECT COUNT(*), CAST(COALESCE(MIN(requested_at), 0) AS BIGINT) FROM withdrawal
WHERE tenant_id = $1 AND connection_id = $2 AND in_effect_at IS NULL AND requested_at <= $3
