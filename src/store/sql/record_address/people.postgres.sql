SELECT ra.mailbox_id, r.id, r.kind, r.crm_id, r.first_name, r.last_name, r.company, r.language, r.postcode, r.town, r.country, r.prospect,
       r.professional, r.bin
FROM record_address ra
JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id
WHERE ra.tenant_id = $1
  AND ra.mailbox_id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))
ORDER BY ra.mailbox_id, r.bin, CASE r.kind WHEN 'customer' THEN 0 WHEN 'address_book' THEN 1 ELSE 2 END, r.id
