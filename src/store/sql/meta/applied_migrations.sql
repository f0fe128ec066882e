-- scope: host, the schema belongs to the whole database
SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success
