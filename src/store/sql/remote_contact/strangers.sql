SELECT r.remote_id, r.mac, r.sealed_email FROM remote_contact r
WHERE r.tenant_id = $1 AND r.connection_id = $2 AND r.remote_id > $3 AND r.on_list AND NOT COALESCE(r.unsubscribed, FALSE)
  AND NOT COALESCE(r.blocked, FALSE) AND r.mac IS NOT NULL AND r.sealed_email IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM mailbox m WHERE m.tenant_id = r.tenant_id AND m.mac = r.mac)
ORDER BY r.remote_id LIMIT $4
