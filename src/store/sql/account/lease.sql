-- scope: host, one daemon at a time owns a provider account
UPDATE account SET epoch = CASE WHEN lease_owner = $2 THEN epoch ELSE epoch + 1 END, lease_owner = $2, lease_until = $3
WHERE id = $1 AND (lease_owner IS NULL OR lease_owner = $2 OR lease_until < $4)
RETURNING epoch
