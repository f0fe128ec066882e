INSERT INTO chain_head (tenant_id, seq, hash) VALUES ($1, $2, $3)
