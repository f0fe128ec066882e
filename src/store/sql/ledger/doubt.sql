UPDATE holding SET add_unknown_at = (
    SELECT MAX(l.issued_at) FROM ledger l
    WHERE l.connection_id = $2 AND l.mailbox_id = holding.mailbox_id AND l.op = 'add' AND l.outcome = 'sent'),
    unsettled_until = CASE WHEN unsettled_until < $3 THEN $3 ELSE unsettled_until END
WHERE tenant_id = $1 AND connection_id = $2
  AND mailbox_id IN (SELECT l.mailbox_id FROM ledger l WHERE l.connection_id = $2 AND l.op = 'add' AND l.outcome = 'sent')
