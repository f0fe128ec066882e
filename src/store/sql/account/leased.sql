SELECT a.lease_until FROM connection c JOIN account a ON a.id = c.account_id WHERE c.tenant_id = $1 AND c.id = $2
