-- scope: host, the length of the one queue
SELECT state, CAST(count(*) AS BIGINT), CAST(min(received_at) AS BIGINT) FROM inbox GROUP BY state
