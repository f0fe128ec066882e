-- scope: host, what the doctor asks of the server
SELECT name, setting FROM pg_settings
WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'server_encoding', 'max_connections', 'default_transaction_read_only')
UNION ALL SELECT 'superuser', CAST(rolsuper AS TEXT) FROM pg_roles WHERE rolname = current_user
UNION ALL SELECT 'recovery', CAST(pg_is_in_recovery() AS TEXT)
UNION ALL SELECT 'clock', CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS TEXT)
