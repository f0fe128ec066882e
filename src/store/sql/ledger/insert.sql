INSERT INTO ledger (tenant_id, connection_id, batch_id, n, run_id, mailbox_id, address_id, op, basis_seq, head_seq, settled, outcome, job, digest, issued_at, answered_at)
VALUES /*rows*/
