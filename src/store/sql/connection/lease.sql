-- scope: host, one daemon at a time owns a provider account
UPDATE connection SET lease_owner = $2, lease_until = $3
WHERE id = $1 AND (lease_owner IS NULL OR lease_owner = $2 OR lease_until < $4)
