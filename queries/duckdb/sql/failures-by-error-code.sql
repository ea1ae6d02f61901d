-- What fails, by error code, with the latest message of each
-- params: none
-- returns: error_code, rows, operations, entities, first_at, last_at, latest_message
-- order: rows descending, error_code
-- needs: id, status, error_code, error_message, operation, entity_id, created_at
SELECT
    error_code,
    count(*) AS rows,
    count(DISTINCT operation) AS operations,
    count(DISTINCT entity_id) AS entities,
    min(created_at) AS first_at,
    max(created_at) AS last_at,
    arg_max(error_message, (created_at, id)) AS latest_message
FROM log
WHERE CAST(status AS VARCHAR) = 'FAILED'
GROUP BY error_code
ORDER BY rows DESC, error_code
