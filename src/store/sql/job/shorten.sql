-- scope: host, a clock that was put back concerns all tenants
UPDATE job SET next_at = $1 WHERE state = 'running' AND next_at > $2
