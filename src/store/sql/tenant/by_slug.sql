-- scope: host, finds the tenant that a request names
SELECT id, slug, legal_name, postal_address, contact, privacy_url, locale, time_zone, legacy_proof, sealed_key, created_at
FROM tenant WHERE slug = $1
