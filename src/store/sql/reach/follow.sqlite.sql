UPDATE reach SET (state, flags, valid_until) = (
    SELECT s.state, s.flags, s.valid_until FROM standing s INDEXED BY standing_by_mailbox
    WHERE s.tenant_id = reach.tenant_id AND s.mailbox_id = reach.mailbox_id AND s.purpose_id = reach.purpose_id LIMIT 1)
WHERE tenant_id = $1 AND purpose_id IN (SELECT id FROM purpose WHERE tenant_id = $1)
  AND mailbox_id IN (SELECT unhex(value) FROM json_each($2))
  AND EXISTS (SELECT 1 FROM standing s
              WHERE s.tenant_id = reach.tenant_id AND s.mailbox_id = reach.mailbox_id AND s.purpose_id = reach.purpose_id)
