SELECT in_effect_at - requested_at FROM withdrawal
WHERE tenant_id = $1 AND connection_id = $2 AND in_effect_at IS NOT NULL AND requested_at >= $3 ORDER BY 1 LIMIT 100000
