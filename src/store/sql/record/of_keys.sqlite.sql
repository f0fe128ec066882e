SELECT r.id, r.kind, r.crm_id, r.last_name, r.first_name, r.company, r.language, r.postcode, r.town, r.country, r.prospect,
       r.professional, r.bin
FROM json_each($3) j CROSS JOIN record r ON r.tenant_id = $1 AND r.kind = $2 AND r.crm_id = j.value
