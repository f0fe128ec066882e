INSERT INTO suppression (tenant_id, mac, purpose_id, reason, since) VALUES /*rows*/
ON CONFLICT (tenant_id, mac, purpose_id) DO NOTHING
