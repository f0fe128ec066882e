INSERT INTO standing (tenant_id, address_id, purpose_id, mailbox_id, state, seq, since, basis_seq, basis_id, basis_at,
                      valid_until, negative_seq, annullable, asked_at, asked_since, asks, flags)
VALUES /*rows*/
ON CONFLICT (tenant_id, address_id, purpose_id) DO UPDATE SET
    state = excluded.state, seq = excluded.seq, since = excluded.since, basis_seq = excluded.basis_seq,
    basis_id = excluded.basis_id, basis_at = excluded.basis_at, valid_until = excluded.valid_until,
    negative_seq = excluded.negative_seq, annullable = excluded.annullable, asked_at = excluded.asked_at,
    asked_since = excluded.asked_since, asks = excluded.asks, flags = excluded.flags
