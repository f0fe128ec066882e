INSERT INTO holding (tenant_id, connection_id, mailbox_id, address_id, held, basis_seq, digest, person, mapping, unsettled_until, add_unknown_at, seen_mailable_at, taken_off_at)
VALUES /*rows*/
ON CONFLICT (connection_id, mailbox_id) DO UPDATE SET
    address_id = excluded.address_id, held = excluded.held, basis_seq = excluded.basis_seq, digest = excluded.digest,
    person = excluded.person, mapping = excluded.mapping,
    unsettled_until = excluded.unsettled_until, add_unknown_at = excluded.add_unknown_at,
    seen_mailable_at = excluded.seen_mailable_at, taken_off_at = excluded.taken_off_at
