SELECT m.id, r.on_list, r.unsubscribed, r.blocked, h.held
FROM mailbox m
JOIN remote_contact r ON r.connection_id = $2 AND r.mac = m.mac
LEFT JOIN holding h ON h.connection_id = $2 AND h.mailbox_id = m.id
WHERE m.tenant_id = $1 AND m.id > $3
  AND ((COALESCE(r.on_list, FALSE) AND NOT COALESCE(r.unsubscribed, FALSE) AND NOT COALESCE(r.blocked, FALSE)
        AND COALESCE(h.held, 'never') NOT IN ('subscribed', 'unknown'))
       OR (r.on_list AND NOT COALESCE(r.unsubscribed, FALSE) AND NOT COALESCE(r.blocked, FALSE) AND h.held = 'subscribed'
           AND NOT EXISTS (SELECT 1 FROM standing s JOIN connection c ON c.id = $2 AND c.purpose_id = s.purpose_id
                           WHERE s.tenant_id = $1 AND s.mailbox_id = m.id AND s.state = 'accepted' AND s.flags = 0))
       OR ((COALESCE(r.unsubscribed, FALSE) OR COALESCE(r.blocked, FALSE)) AND COALESCE(h.held, 'never') NOT IN ('withdrawn', 'unknown'))
       OR (COALESCE(r.blocked, FALSE) AND h.held = 'withdrawn'
           AND NOT EXISTS (SELECT 1 FROM withdrawal e WHERE e.connection_id = $2 AND e.mailbox_id = m.id AND e.scope = 'everything')))
  AND NOT EXISTS (SELECT 1 FROM withdrawal w WHERE w.connection_id = $2 AND w.mailbox_id = m.id AND w.phase IN ('send', 'confirm'))
ORDER BY m.id LIMIT $4
