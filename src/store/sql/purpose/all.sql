SELECT id, slug, name, body, text_version, validity_days, is_default FROM purpose
WHERE tenant_id = $1 ORDER BY is_default DESC, slug
