-- scope: host, a clock that was put back concerns all tenants
UPDATE withdrawal SET run_at = $1 WHERE (phase IN ('send', 'confirm') AND run_at > $2) OR (phase = 'watch' AND run_at > $3)
