-- scope: host, a clock that was put back concerns all tenants
UPDATE connection SET backoff_until = CASE WHEN backoff_until > $2 THEN $1 ELSE backoff_until END,
    walk_wanted_at = CASE WHEN walk_wanted_at > $1 OR walked_at > $1 THEN $1 ELSE walk_wanted_at END,
    walked_at = CASE WHEN walked_at > $1 THEN $1 - 1 ELSE walked_at END
WHERE backoff_until > $2 OR walk_wanted_at > $1 OR walked_at > $1
