INSERT INTO run_item (tenant_id, run_id, n, mailbox_id, address_id, action, reason, outcome, code, message) VALUES /*rows*/
