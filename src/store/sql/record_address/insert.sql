INSERT INTO record_address (tenant_id, record_id, position, address_id, mailbox_id) VALUES /*rows*/
