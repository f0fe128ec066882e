INSERT INTO suppression (tenant_id, mac, purpose_id, reason, since)
SELECT tenant_id, mac, CAST($3 AS UUID), reason, since FROM suppression WHERE tenant_id = $1 AND purpose_id = $2
