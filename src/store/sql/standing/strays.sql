SELECT CAST(count(*) AS BIGINT) FROM standing s
WHERE s.tenant_id = $1
  AND NOT EXISTS (SELECT 1 FROM statement l WHERE l.tenant_id = s.tenant_id AND l.address_id = s.address_id
                  AND (l.purpose_id IS NULL OR l.purpose_id = s.purpose_id))
