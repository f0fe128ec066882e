UPDATE event SET repeats = repeats + 1
WHERE tenant_id = $1 AND connection_id = $2 AND fingerprint IN (SELECT unhex(value) FROM json_each($3))
