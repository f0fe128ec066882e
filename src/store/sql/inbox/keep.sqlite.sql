-- $2 holds keys and body of all deliveries, one behind the other; $1 tells where each begins, how long its body is, and the rest.
INSERT INTO inbox (tenant_id, connection_id, id, received_at, digest, body, state, note, attempts, repeats, lease_until)
SELECT substr($2, at, 16), substr($2, at + 16, 16), substr($2, at + 32, 16), received_at, substr($2, at + 48, 32), substr($2, at + 80, size),
       iif(note IS NULL, 'new', 'quarantined'), ifnull(note, ''), 0, 0, 0
FROM (SELECT value ->> 0 AS at, value ->> 1 AS size, value ->> 2 AS received_at, value ->> 3 AS note FROM json_each($1)) WHERE TRUE
ON CONFLICT (connection_id, digest) DO UPDATE SET repeats = inbox.repeats + 1
