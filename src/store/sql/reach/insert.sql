INSERT INTO reach (tenant_id, purpose_id, mailbox_id, record_id, spelled, shared, in_crm, state, flags, valid_until, kind, prospect,
                   professional, language, postcode, town_key, country_key, tag_keys, search)
VALUES /*rows*/
