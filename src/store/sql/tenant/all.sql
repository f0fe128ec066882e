-- scope: host, the list of tenants; hundreds to thousands of short rows
SELECT id, slug, legal_name, postal_address, contact, privacy_url, locale, time_zone, legacy_proof, sealed_key, created_at
FROM tenant ORDER BY slug
