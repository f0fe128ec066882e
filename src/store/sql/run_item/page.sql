SELECT i.n, i.address_id, a.exact, i.action, i.reason, i.outcome, i.code, i.message
FROM run_item i JOIN address a ON a.tenant_id = i.tenant_id AND a.id = i.address_id
WHERE i.tenant_id = $1 AND i.run_id = $2 AND i.n > $3 AND ($4 = '' OR i.outcome = $4) ORDER BY i.n LIMIT $5
