SELECT s.address_id, s.seq, s.kind, s.actor, s.recorded_at
FROM json_each($3) j CROSS JOIN statement s ON s.tenant_id = $1 AND s.address_id = unhex(j.value)
WHERE s.purpose_id IS NULL OR s.purpose_id = $2
