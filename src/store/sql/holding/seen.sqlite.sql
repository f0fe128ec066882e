UPDATE holding SET held = CASE WHEN held = 'withdrawn' THEN held ELSE 'subscribed' END, unsettled_until = CASE WHEN add_unknown_at > $5 THEN unsettled_until ELSE 0 END,
    seen_mailable_at = $4
WHERE tenant_id = $1 AND connection_id = $2 AND mailbox_id IN (SELECT unhex(value) FROM json_each($3))
