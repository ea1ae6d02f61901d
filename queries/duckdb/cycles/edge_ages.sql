-- The youngest row of each of the given (job, parent) pairs
-- params: $1 JSON list of {edge, job_id, parent_job_id}
-- returns: edge, rows, age (a rank over all rows of all pairs, greatest for the youngest), youngest_id, youngest_created_at (text, NULL where the log has no such column)
-- order: edge
WITH wanted AS (
    SELECT unnest(
        from_json($1, '[{"edge": "BIGINT", "job_id": "VARCHAR", "parent_job_id": "VARCHAR"}]'),
        recursive := true
    )
),
matched AS (
    SELECT
        wanted.edge AS edge,
        filled.id AS id,
        filled.created_at AS created_at,
        row_number() OVER (
            ORDER BY filled.created_at NULLS FIRST, filled.id NULLS FIRST, wanted.edge
        ) AS age
    FROM (
        FROM log
        UNION ALL BY NAME
        -- Gives the columns that a log may lack.
        SELECT NULL AS id, NULL AS created_at WHERE false
    ) AS filled
    JOIN wanted
        ON wanted.job_id = filled.job_id::VARCHAR
        AND wanted.parent_job_id = filled.parent_job_id::VARCHAR
)
SELECT
    edge,
    count(*) AS rows,
    max(age) AS age,
    arg_max(id::VARCHAR, age) AS youngest_id,
    arg_max(created_at::VARCHAR, age) AS youngest_created_at
FROM matched
GROUP BY edge
ORDER BY edge
