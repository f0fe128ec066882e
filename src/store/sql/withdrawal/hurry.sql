UPDATE withdrawal SET phase = 'send', run_at = $4
WHERE tenant_id = $1 AND connection_id = $2 AND phase IN ('send', 'confirm') AND NOT settled
  AND EXISTS (SELECT 1 FROM ledger l WHERE l.connection_id = $2 AND l.mailbox_id = withdrawal.mailbox_id AND l.op = 'add'
              AND l.outcome = 'pending' AND l.job = $3)
