SELECT CAST(count(*) AS BIGINT) FROM event
WHERE tenant_id = $1 AND connection_id = $2 AND seen_at > $3 AND disposition = 'withdrawn'
