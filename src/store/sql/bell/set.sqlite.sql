-- scope: host, the bell rings for the connections of all tenants
UPDATE connection SET next_at = j.at
FROM (SELECT unhex(value ->> 'connection') AS id, value ->> 'at' AS at FROM json_each($1)) j WHERE connection.id = j.id
