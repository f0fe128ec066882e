INSERT INTO mailbox (tenant_id, id, mac) VALUES /*rows*/
