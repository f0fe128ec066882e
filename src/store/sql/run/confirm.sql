UPDATE run SET confirmed_by = $3, state = 'applying' WHERE tenant_id = $1 AND id = $2 AND state = 'awaiting_confirmation' AND is_open
