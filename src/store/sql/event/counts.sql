SELECT kind, disposition, CAST(count(*) AS BIGINT), CAST(sum(repeats) AS BIGINT) FROM event
WHERE tenant_id = $1 AND connection_id = $2 GROUP BY kind, disposition ORDER BY kind, disposition
