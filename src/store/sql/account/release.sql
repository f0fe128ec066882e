-- scope: host, one daemon at a time owns a provider account
UPDATE account SET lease_owner = NULL, lease_until = 0 WHERE lease_owner = $1
