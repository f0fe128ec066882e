SELECT address_id, purpose_id, mailbox_id, state, seq, since, basis_seq, basis_id, basis_at, valid_until, negative_seq,
       annullable, asked_at, asked_since, asks, flags
FROM standing WHERE tenant_id = $1 AND address_id IN (SELECT unhex(value) FROM json_each($2))
