SELECT address_id FROM standing
WHERE tenant_id = $1 AND purpose_id = $2 AND state = 'accepted' AND valid_until <= $3 ORDER BY valid_until, address_id LIMIT $4
