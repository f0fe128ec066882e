INSERT INTO subject_key (tenant_id, address_id, sealed) VALUES /*rows*/
