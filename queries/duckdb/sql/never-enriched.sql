-- Entities that were created and never enriched since
-- about: Enriched means an operation that begins with `enrichment:` and ended in SUCCESS, PARTIAL_SUCCESS or COMPLETED; attempts count whatever came of them.
-- params: none
-- returns: entity_type, entity_id, created_at, attempts, last_attempt_at, last_status
-- order: created_at, entity_type, entity_id
-- needs: id, entity_type, entity_id, operation, status, created_at
SELECT
    entity_type,
    entity_id,
    min(created_at) FILTER (made) AS created_at,
    count(*) FILTER (enriches) AS attempts,
    max(created_at) FILTER (enriches) AS last_attempt_at,
    arg_max(state, (created_at, id)) FILTER (enriches) AS last_status
FROM (
    SELECT
        id, entity_type, entity_id, created_at,
        CAST(status AS VARCHAR) AS state,
        list_contains(string_split(lower(operation), ':'), 'created') AND CAST(status AS VARCHAR) <> 'FAILED' AS made,
        starts_with(lower(operation), 'enrichment:') AS enriches
    FROM log
    WHERE entity_id IS NOT NULL
)
GROUP BY entity_type, entity_id
HAVING bool_or(made) AND NOT bool_or(enriches AND state IN ('SUCCESS', 'PARTIAL_SUCCESS', 'COMPLETED'))
ORDER BY created_at, entity_type, entity_id
