SELECT s.address_id, s.purpose_id, s.mailbox_id, s.state, s.seq, s.since, s.basis_seq, s.basis_id, s.basis_at, s.valid_until,
       s.negative_seq, s.annullable, s.asked_at, s.asked_since, s.asks, s.flags
FROM json_each($3) j CROSS JOIN standing s ON s.tenant_id = $1 AND s.purpose_id = $2 AND s.mailbox_id = unhex(j.value)
