INSERT INTO token (tenant_id, hash, class, address_id, purpose_id, text_version, issued_at, handed_over_at, expires_at, opens,
                   prefetched, decided, decided_at)
VALUES /*rows*/
