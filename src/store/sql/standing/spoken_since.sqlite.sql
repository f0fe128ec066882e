SELECT COUNT(*) FROM json_each($3) j
CROSS JOIN standing s ON s.tenant_id = $1 AND s.mailbox_id = unhex(j.value) AND s.seq > $2
