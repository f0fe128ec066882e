UPDATE withdrawal SET phase = $5, run_at = $6, attempts = $7, settled = $8, watch = $9,
    requested_at = CASE WHEN $11 THEN $12 ELSE requested_at END,
    in_effect_at = CASE WHEN $11 THEN NULL ELSE COALESCE(in_effect_at, $10) END
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id = $3 AND basis_seq = $4
