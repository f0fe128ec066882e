-- scope: host, one tenant by its id
UPDATE tenant SET sealed_key = $2 WHERE id = $1
