INSERT INTO withdrawal (tenant_id, connection_id, mailbox_id, address_id, scope, reason, basis_seq, requested_at, phase, run_at,
                        attempts, settled, watch, in_effect_at)
SELECT c.tenant_id, c.id, m.id, $3, $5, $6, $7, $8, 'send', $8, 0, FALSE, 0, NULL
FROM connection c JOIN mailbox m ON m.tenant_id = c.tenant_id
WHERE c.tenant_id = $1 AND m.id = $2 AND ($4 IS NULL OR c.purpose_id = $4)
  AND (EXISTS (SELECT 1 FROM holding h WHERE h.connection_id = c.id AND h.mailbox_id = m.id AND (h.held <> 'never' OR h.add_unknown_at > 0 OR h.basis_seq > 0))
       OR EXISTS (SELECT 1 FROM remote_contact r WHERE r.connection_id = c.id AND r.mac = m.mac
                  AND (r.on_list OR $5 = 'everything')))
ON CONFLICT (connection_id, mailbox_id) DO UPDATE SET
    address_id = excluded.address_id,
    scope = CASE WHEN withdrawal.scope = 'everything' AND withdrawal.phase <> 'done' THEN 'everything' ELSE excluded.scope END,
    reason = excluded.reason, basis_seq = excluded.basis_seq,
    requested_at = CASE WHEN withdrawal.phase IN ('send', 'confirm') THEN withdrawal.requested_at ELSE excluded.requested_at END,
    phase = 'send', run_at = excluded.run_at, attempts = 0, settled = FALSE, watch = 0, in_effect_at = NULL
