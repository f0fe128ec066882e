-- scope: host, connections of several tenants may speak to one account
UPDATE account SET epoch = epoch + 1, lease_owner = NULL, lease_until = 0 WHERE id = $1
