SELECT seq, id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash
FROM statement WHERE tenant_id = $1 AND address_id = $2 ORDER BY seq
