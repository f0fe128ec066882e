-- scope: host, a clock that was put back concerns all tenants
UPDATE walk SET started_at = $1 - 1, finished_at = CASE WHEN finished_at > $1 THEN $1 ELSE finished_at END WHERE started_at > $1
