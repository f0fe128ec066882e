INSERT INTO remote_contact (tenant_id, connection_id, remote_id, walk_id, mac, sealed_email, on_list, unsubscribed, blocked) VALUES /*rows*/
ON CONFLICT (connection_id, remote_id) DO UPDATE SET
    mac = COALESCE(excluded.mac, remote_contact.mac),
    sealed_email = COALESCE(excluded.sealed_email, remote_contact.sealed_email),
    on_list = CASE WHEN remote_contact.walk_id = excluded.walk_id THEN COALESCE(excluded.on_list, remote_contact.on_list) ELSE excluded.on_list END,
    unsubscribed = CASE WHEN remote_contact.walk_id = excluded.walk_id THEN COALESCE(excluded.unsubscribed, remote_contact.unsubscribed) ELSE excluded.unsubscribed END,
    blocked = CASE WHEN remote_contact.walk_id = excluded.walk_id THEN COALESCE(excluded.blocked, remote_contact.blocked) ELSE excluded.blocked END,
    walk_id = excluded.walk_id
