-- scope: host, the bell rings for the connections of all tenants
UPDATE connection c SET next_at = CAST(j.value ->> 'at' AS BIGINT)
FROM json_array_elements(CAST($1 AS JSON)) j WHERE c.id = CAST(j.value ->> 'connection' AS UUID)
