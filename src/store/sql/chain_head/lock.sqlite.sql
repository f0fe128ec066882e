SELECT seq, hash FROM chain_head WHERE tenant_id = $1
