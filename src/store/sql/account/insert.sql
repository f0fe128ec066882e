-- scope: host, connections of several tenants may speak to one account
INSERT INTO account (id, epoch, lease_owner, lease_until) VALUES ($1, 0, NULL, 0) ON CONFLICT (id) DO NOTHING
