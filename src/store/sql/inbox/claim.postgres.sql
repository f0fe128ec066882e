-- scope: host, one queue for all tenants
UPDATE inbox SET lease_until = $2, attempts = attempts + 1
WHERE id IN (SELECT id FROM (
    SELECT id, sum(size) OVER (ORDER BY received_at, id) - size AS ahead
    FROM (SELECT id, received_at, length(body) AS size FROM inbox WHERE state = 'new' AND lease_until <= $1
          ORDER BY received_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) free) sized WHERE ahead <= $4)
RETURNING tenant_id, connection_id, id, received_at, body, state, note, attempts, repeats
