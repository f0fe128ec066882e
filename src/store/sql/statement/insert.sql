INSERT INTO statement (tenant_id, seq, id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash)
VALUES /*rows*/
