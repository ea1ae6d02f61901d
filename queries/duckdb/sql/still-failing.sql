-- Entities whose latest row is a failure
-- params: none
-- returns: entity_type, entity_id, failed_at, operation, error_code, failures, error_message
-- order: failed_at descending, entity_type, entity_id
-- needs: id, entity_type, entity_id, operation, status, error_code, error_message, created_at
SELECT
    entity_type,
    entity_id,
    max(created_at) AS failed_at,
    arg_max(operation, (created_at, id)) AS operation,
    arg_max_null(error_code, (created_at, id)) AS error_code,
    count(*) FILTER (CAST(status AS VARCHAR) = 'FAILED') AS failures,
    arg_max_null(error_message, (created_at, id)) AS error_message
FROM log
WHERE entity_id IS NOT NULL
GROUP BY entity_type, entity_id
HAVING arg_max(CAST(status AS VARCHAR), (created_at, id)) = 'FAILED'
ORDER BY failed_at DESC, entity_type, entity_id
