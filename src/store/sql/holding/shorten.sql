-- scope: host, a clock that was put back concerns all tenants
UPDATE holding SET unsettled_until = $1 WHERE unsettled_until > $1
