INSERT INTO purpose (tenant_id, id, slug, name, body, text_version, validity_days, is_default)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
