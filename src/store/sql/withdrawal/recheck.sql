UPDATE withdrawal SET phase = 'watch', run_at = $4
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id = $3 AND phase IN ('done', 'watch')
