INSERT INTO address (tenant_id, id, mailbox_id, exact, role, created_at) VALUES /*rows*/
