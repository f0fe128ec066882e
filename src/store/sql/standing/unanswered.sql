SELECT s.address_id FROM standing s
WHERE s.tenant_id = $1 AND s.purpose_id = $2 AND s.state = 'pending' AND s.asked_at <= $3
  AND NOT EXISTS (SELECT 1 FROM statement h WHERE h.tenant_id = s.tenant_id AND h.address_id = s.address_id
                  AND h.purpose_id = s.purpose_id AND h.kind = 'request_expired' AND h.recorded_at >= s.asked_at)
LIMIT $4
