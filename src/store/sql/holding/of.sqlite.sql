SELECT mailbox_id, address_id, held, basis_seq, digest, person, mapping, unsettled_until, add_unknown_at, seen_mailable_at, taken_off_at FROM holding
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id IN (SELECT unhex(value) FROM json_each($3))
