-- What people corrected by hand, the latest first
-- about: A correction is an operation whose name contains `correction`.
-- params: limit integer = 50
-- returns: created_at, operation, status, entity_type, entity_id, user_id, reason, id
-- order: created_at descending, id
-- needs: id, operation, status, entity_type, entity_id, user_id, reason, created_at
SELECT created_at, operation, status, entity_type, entity_id, user_id, reason, id
FROM log
WHERE contains(lower(operation), 'correction')
ORDER BY created_at DESC, id
LIMIT CAST($limit AS BIGINT)
