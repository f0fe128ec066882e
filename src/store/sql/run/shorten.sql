-- scope: host, a clock that was put back concerns all tenants
UPDATE run SET resume_at = $1 WHERE is_open AND resume_at > $2
