SELECT COUNT(*),
       COALESCE(SUM(length(address_id) <> 16 OR length(purpose_id) <> 16 OR length(COALESCE(basis_id, zeroblob(16))) <> 16), 0),
       COALESCE(group_concat(concat_ws(',', state, seq, since, COALESCE(basis_seq, ''), COALESCE(basis_at, ''),
                                       COALESCE(valid_until, ''), COALESCE(negative_seq, ''), annullable, COALESCE(asked_at, ''),
                                       COALESCE(asked_since, ''), asks, flags), ';'), ''),
       CAST(COALESCE(group_concat(address_id || purpose_id || COALESCE(basis_id, zeroblob(16)), ''), '') AS BLOB)
FROM (SELECT address_id, purpose_id, state, seq, since, basis_seq, basis_id, basis_at, valid_until, negative_seq, annullable,
             asked_at, asked_since, asks, flags
      FROM standing WHERE tenant_id = $1 AND (address_id, purpose_id) > ($2, $3) ORDER BY address_id, purpose_id LIMIT $4)
