SELECT h.mailbox_id FROM holding h JOIN mailbox m ON m.tenant_id = h.tenant_id AND m.id = h.mailbox_id
LEFT JOIN remote_contact r ON r.connection_id = h.connection_id AND r.mac = m.mac
WHERE h.tenant_id = $1 AND h.connection_id = $2 AND h.mailbox_id > $3 AND h.held = 'subscribed' AND h.unsettled_until <= $5
  AND NOT COALESCE(r.on_list, FALSE)
  AND NOT EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = $2 AND w.mailbox_id = h.mailbox_id AND w.phase IN ('send', 'confirm'))
ORDER BY h.mailbox_id LIMIT $4
