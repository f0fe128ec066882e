-- scope: host, one tenant by its id
UPDATE tenant SET legal_name = $2, postal_address = $3, contact = $4, privacy_url = $5, locale = $6, time_zone = $7, legacy_proof = $8
WHERE id = $1
