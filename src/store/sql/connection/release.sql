-- scope: host, one daemon at a time owns a provider account
UPDATE connection SET lease_owner = NULL, lease_until = 0 WHERE lease_owner = $1
