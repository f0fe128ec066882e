UPDATE run_item SET outcome = '' WHERE tenant_id = $1 AND run_id = $2 AND outcome = 'sending'
