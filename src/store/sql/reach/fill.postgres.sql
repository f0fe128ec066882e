INSERT INTO reach (tenant_id, purpose_id, mailbox_id, record_id, spelled, shared, in_crm, state, flags, valid_until, kind, prospect,
                   professional, language, postcode, town_key, country_key, tag_keys, search)
SELECT s.tenant_id, s.purpose_id, s.mailbox_id, COALESCE(r.id, CAST('00000000-0000-0000-0000-000000000000' AS UUID)),
       n.spellings > 1, n.records > 1, n.live > 0, s.state, s.flags, s.valid_until,
       COALESCE(r.kind, ''), COALESCE(r.prospect, FALSE), COALESCE(r.professional, FALSE), COALESCE(r.language, ''),
       COALESCE(r.postcode, ''), COALESCE(r.town_key, ''), COALESCE(r.country_key, ''), COALESCE(r.tag_keys, ''),
       COALESCE(r.search, '') || ' ' || lower(a.exact)
FROM (SELECT m.tenant_id, m.id,
             (SELECT a.id FROM address a WHERE a.tenant_id = m.tenant_id AND a.mailbox_id = m.id ORDER BY a.id LIMIT 1) AS address_id,
             (SELECT COUNT(*) FROM address a WHERE a.tenant_id = m.tenant_id AND a.mailbox_id = m.id) AS spellings,
             (SELECT COUNT(DISTINCT ra.record_id) FROM record_address ra
              WHERE ra.tenant_id = m.tenant_id AND ra.mailbox_id = m.id) AS records,
             (SELECT COUNT(*) FROM record_address ra JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id
              WHERE ra.tenant_id = m.tenant_id AND ra.mailbox_id = m.id AND NOT r.bin) AS live
      FROM mailbox m WHERE m.tenant_id = $1 AND m.id IN (SELECT CAST(value AS UUID) FROM json_array_elements_text(CAST($2 AS JSON)))) n
JOIN address a ON a.tenant_id = n.tenant_id AND a.id = n.address_id
JOIN standing s ON s.tenant_id = n.tenant_id AND s.address_id = n.address_id
LEFT JOIN record_address ra ON ra.tenant_id = n.tenant_id AND ra.mailbox_id = n.id
LEFT JOIN record r ON r.tenant_id = ra.tenant_id AND r.id = ra.record_id
WHERE TRUE
ON CONFLICT (tenant_id, purpose_id, mailbox_id, record_id) DO NOTHING
