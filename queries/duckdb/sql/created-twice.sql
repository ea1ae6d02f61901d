-- Entities with more than one creation
-- about: Two jobs raced, or a retry created what was there already. Creations are read from the operation; failed ones don't count.
-- params: none
-- returns: entity_type, entity_id, creations, jobs, first_at, last_at, operations
-- order: creations descending, entity_type, entity_id
-- needs: entity_type, entity_id, operation, status, job_id, created_at
SELECT
    entity_type,
    entity_id,
    count(*) AS creations,
    count(DISTINCT job_id) AS jobs,
    min(created_at) AS first_at,
    max(created_at) AS last_at,
    list_sort(list_distinct(list(operation))) AS operations
FROM log
WHERE entity_id IS NOT NULL
    AND list_contains(string_split(lower(operation), ':'), 'created')
    AND CAST(status AS VARCHAR) <> 'FAILED'
GROUP BY entity_type, entity_id
HAVING creations > 1
ORDER BY creations DESC, entity_type, entity_id
