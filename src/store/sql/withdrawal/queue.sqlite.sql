INSERT INTO withdrawal (tenant_id, connection_id, mailbox_id, address_id, scope, reason, basis_seq, requested_at, phase, run_at,
                        attempts, settled, watch, in_effect_at)
SELECT c.tenant_id, c.id, m.id, unhex(j.value ->> 1), j.value ->> 3, j.value ->> 4, j.value ->> 5, $3, 'send', $3, 0, FALSE, 0, NULL
FROM json_each($2) j
CROSS JOIN mailbox m ON m.tenant_id = $1 AND m.id = unhex(j.value ->> 0)
CROSS JOIN connection c ON c.tenant_id = m.tenant_id AND (j.value ->> 2 IS NULL OR c.purpose_id = unhex(j.value ->> 2))
WHERE EXISTS (SELECT 1 FROM holding h WHERE h.connection_id = c.id AND h.mailbox_id = m.id AND (h.held <> 'never' OR h.add_unknown_at > 0 OR h.basis_seq > 0))
   OR EXISTS (SELECT 1 FROM remote_contact r WHERE r.connection_id = c.id AND r.mac = m.mac
              AND (r.on_list OR j.value ->> 3 = 'everything'))
ON CONFLICT (connection_id, mailbox_id) DO UPDATE SET
    address_id = excluded.address_id,
    scope = CASE WHEN withdrawal.scope = 'everything' AND withdrawal.phase <> 'done' THEN 'everything' ELSE excluded.scope END,
    reason = excluded.reason, basis_seq = excluded.basis_seq,
    requested_at = CASE WHEN withdrawal.phase IN ('send', 'confirm') THEN withdrawal.requested_at ELSE excluded.requested_at END,
    phase = 'send', run_at = excluded.run_at, attempts = 0, settled = FALSE, watch = 0, in_effect_at = NULL
