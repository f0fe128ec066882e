SELECT id, kind, crm_id, last_name, first_name, company, language, postcode, town, country, prospect, professional, bin FROM record
WHERE tenant_id = $1 AND kind = $2 AND crm_id IN (SELECT value FROM json_array_elements_text(CAST($3 AS JSON)))
