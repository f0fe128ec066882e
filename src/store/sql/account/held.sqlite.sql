-- scope: host, one daemon at a time owns a provider account
SELECT epoch FROM account WHERE id = $1 AND lease_owner = $2 AND epoch = $3
