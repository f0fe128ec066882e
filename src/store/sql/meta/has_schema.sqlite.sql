-- scope: host, the schema belongs to the whole database
SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'
