SELECT COUNT(*),
       COALESCE(SUM(length(id) <> 16 OR length(address_id) <> 16 OR length(COALESCE(purpose_id, zeroblob(16))) <> 16
                    OR length(payload_mac) <> 32 OR length(hash) <> 32), 0),
       COALESCE(group_concat(concat_ws(',', seq, kind, actor, recorded_at, COALESCE(detail, ''), length(payload),
                                       COALESCE(length(sealed), '')), ';'), ''),
       CAST(COALESCE(group_concat(id || address_id || COALESCE(X'01' || purpose_id, zeroblob(17)) || payload_mac || hash
                                  || payload || COALESCE(sealed, X''), ''), '') AS BLOB)
FROM (SELECT s.seq, s.id, s.address_id, s.purpose_id, s.kind, s.actor, s.recorded_at, s.detail, s.payload, s.payload_mac, s.hash,
             k.sealed
      FROM statement s LEFT JOIN subject_key k ON k.tenant_id = s.tenant_id AND k.address_id = s.address_id
      WHERE s.tenant_id = $1 AND s.seq > $2 ORDER BY s.seq LIMIT $3)
