-- $2 holds keys and body of all deliveries, one behind the other; $1 tells where each begins, how long its body is, and the rest.
INSERT INTO inbox (tenant_id, connection_id, id, received_at, digest, body, state, note, attempts, repeats, lease_until)
SELECT CAST(encode(substr(CAST($2 AS BYTEA), at, 16), 'hex') AS UUID), CAST(encode(substr(CAST($2 AS BYTEA), at + 16, 16), 'hex') AS UUID),
       CAST(encode(substr(CAST($2 AS BYTEA), at + 32, 16), 'hex') AS UUID), received_at, substr(CAST($2 AS BYTEA), at + 48, 32),
       substr(CAST($2 AS BYTEA), at + 80, size), CASE WHEN note IS NULL THEN 'new' ELSE 'quarantined' END, coalesce(note, ''), 0, 0, 0
FROM (SELECT CAST(value ->> 0 AS INT) AS at, CAST(value ->> 1 AS INT) AS size, CAST(value ->> 2 AS BIGINT) AS received_at, value ->> 3 AS note
      FROM json_array_elements(CAST($1 AS JSON))) told
ON CONFLICT (connection_id, digest) DO UPDATE SET repeats = inbox.repeats + 1
