-- When each entity was first linked to another one, and how often since
-- about: A link is an operation with the part `linked` (artist:linked:album-association) that didn't fail.
-- params: none
-- returns: entity_type, entity_id, first_linked_at, operation, links, job_id
-- order: first_linked_at, entity_type, entity_id
-- needs: id, entity_type, entity_id, operation, status, job_id, created_at
SELECT
    entity_type,
    entity_id,
    created_at AS first_linked_at,
    operation,
    count(*) OVER (PARTITION BY entity_type, entity_id) AS links,
    job_id
FROM log
WHERE entity_id IS NOT NULL
    AND list_contains(string_split(lower(operation), ':'), 'linked')
    AND CAST(status AS VARCHAR) <> 'FAILED'
QUALIFY row_number() OVER (PARTITION BY entity_type, entity_id ORDER BY created_at, id) = 1
ORDER BY first_linked_at, entity_type, entity_id
