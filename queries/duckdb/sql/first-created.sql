-- When each entity was first created, by which operation and job
-- about: A creation is an operation with the part `created` (album:created:search) that didn't fail. The category isn't asked: a backfill files whatever is left over under CREATED.
-- params: none
-- returns: entity_type, entity_id, created_at, operation, job_id
-- order: created_at, entity_type, entity_id
-- needs: id, entity_type, entity_id, operation, status, job_id, created_at
SELECT entity_type, entity_id, created_at, operation, job_id
FROM log
WHERE entity_id IS NOT NULL
    AND list_contains(string_split(lower(operation), ':'), 'created')
    AND CAST(status AS VARCHAR) <> 'FAILED'
QUALIFY row_number() OVER (PARTITION BY entity_type, entity_id ORDER BY created_at, id) = 1
ORDER BY created_at, entity_type, entity_id
