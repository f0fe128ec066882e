-- scope: host, a tenant is what everything else hangs on
INSERT INTO tenant (id, slug, legal_name, postal_address, contact, privacy_url, locale, time_zone, legacy_proof, sealed_key, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
