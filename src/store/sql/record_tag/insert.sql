INSERT INTO record_tag (tenant_id, record_id, tag) VALUES /*rows*/
