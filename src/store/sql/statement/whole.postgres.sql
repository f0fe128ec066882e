SELECT COUNT(*),
       CAST(COALESCE(SUM(CASE WHEN length(payload_mac) <> 32 OR length(hash) <> 32 THEN 1 ELSE 0 END), 0) AS BIGINT),
       COALESCE(string_agg(concat_ws(',', seq, kind, actor, recorded_at, COALESCE(CAST(detail AS TEXT), ''), length(payload),
                                     COALESCE(CAST(length(sealed) AS TEXT), '')), ';'), ''),
       COALESCE(string_agg(uuid_send(id) || uuid_send(address_id)
                           || COALESCE(decode('01', 'hex') || uuid_send(purpose_id), decode(repeat('00', 17), 'hex'))
                           || payload_mac || hash || payload || COALESCE(sealed, ''), ''), '')
FROM (SELECT s.seq, s.id, s.address_id, s.purpose_id, s.kind, s.actor, s.recorded_at, s.detail, s.payload, s.payload_mac, s.hash,
             k.sealed
      FROM statement s LEFT JOIN subject_key k ON k.tenant_id = s.tenant_id AND k.address_id = s.address_id
      WHERE s.tenant_id = $1 AND s.seq > $2 ORDER BY s.seq LIMIT $3) page
