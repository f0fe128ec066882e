-- Who is in a job that still runs is not settled. `|| ''` keeps planners away from ledger_open, where a large job has all its rows.
SELECT mailbox_id, address_id, held, basis_seq, digest, unsettled_until, add_unknown_at, seen_mailable_at, taken_off_at FROM holding
WHERE tenant_id = $1 AND connection_id = $2 AND held = 'unknown' AND unsettled_until <= $3
  AND NOT EXISTS (SELECT 1 FROM ledger l WHERE l.connection_id = $2 AND l.mailbox_id = holding.mailbox_id AND l.op = 'add' AND l.outcome || '' = 'pending')
ORDER BY mailbox_id LIMIT $4
