SELECT seq, id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash
FROM statement WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
