SELECT COUNT(*), CAST(0 AS BIGINT),
       COALESCE(string_agg(concat_ws(',', state, seq, since, COALESCE(CAST(basis_seq AS TEXT), ''), COALESCE(CAST(basis_at AS TEXT), ''),
                                     COALESCE(CAST(valid_until AS TEXT), ''), COALESCE(CAST(negative_seq AS TEXT), ''),
                                     CAST(annullable AS INT), COALESCE(CAST(asked_at AS TEXT), ''),
                                     COALESCE(CAST(asked_since AS TEXT), ''), asks, flags), ';'), ''),
       COALESCE(string_agg(uuid_send(address_id) || uuid_send(purpose_id)
                           || COALESCE(uuid_send(basis_id), decode(repeat('00', 16), 'hex')), ''), '')
FROM (SELECT address_id, purpose_id, state, seq, since, basis_seq, basis_id, basis_at, valid_until, negative_seq, annullable,
             asked_at, asked_since, asks, flags
      FROM standing WHERE tenant_id = $1 AND (address_id, purpose_id) > ($2, $3) ORDER BY address_id, purpose_id LIMIT $4) page
