-- scope: host, metrics count what is open over all tenants
SELECT kind, CAST(COUNT(*) AS BIGINT) FROM incident WHERE closed_at IS NULL GROUP BY kind
