INSERT INTO record (tenant_id, id, kind, crm_id, last_name, first_name, company, language, postcode, town, country, prospect,
                    professional, bin, search, town_key, country_key, tag_keys, person, updated_at)
VALUES /*rows*/
ON CONFLICT (tenant_id, id) DO UPDATE SET
    last_name = excluded.last_name, first_name = excluded.first_name, company = excluded.company, language = excluded.language,
    postcode = excluded.postcode, town = excluded.town, country = excluded.country, prospect = excluded.prospect,
    professional = excluded.professional, bin = excluded.bin, search = excluded.search, town_key = excluded.town_key,
    country_key = excluded.country_key, tag_keys = excluded.tag_keys, person = excluded.person, updated_at = excluded.updated_at
