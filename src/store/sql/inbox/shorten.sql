-- scope: host, a clock that was put back concerns all tenants
UPDATE inbox SET lease_until = $1 WHERE state = 'new' AND lease_until > $2
