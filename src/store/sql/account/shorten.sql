-- scope: host, a clock that was put back concerns all tenants
UPDATE account SET lease_until = $1 WHERE lease_until > $2
