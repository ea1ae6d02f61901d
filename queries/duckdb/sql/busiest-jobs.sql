-- Jobs that wrote the most rows
-- params: limit integer = 20
-- returns: job_id, rows, operations, entities, first_at, last_at
-- order: rows descending, job_id
-- needs: job_id, operation, entity_id, created_at
SELECT
    job_id,
    count(*) AS rows,
    count(DISTINCT operation) AS operations,
    count(DISTINCT entity_id) AS entities,
    min(created_at) AS first_at,
    max(created_at) AS last_at
FROM log
WHERE job_id IS NOT NULL
GROUP BY job_id
ORDER BY rows DESC, job_id
LIMIT CAST($limit AS BIGINT)
