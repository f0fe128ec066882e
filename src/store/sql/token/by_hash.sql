-- scope: host, the hash of the secret is what finds the tenant
SELECT tenant_id, class, address_id, purpose_id, text_version, handed_over_at, expires_at, opens, prefetched,
       decided, decided_at
FROM token WHERE hash = $1
