UPDATE token SET opens = opens + 1, prefetched = prefetched OR $3 WHERE tenant_id = $1 AND hash = $2
