-- A few rows of each of the given classes of rows
-- params: $1 JSON list of {class, job_id, parent_job_id, root_job_id, flag}, where flag NULL takes rows marked is_root_job or not; $2 rows a class at most
-- returns: class, id (as text, NULL where the log has no such column)
-- order: class, id
WITH wanted AS (
    SELECT unnest(
        from_json(
            $1,
            '[{"class": "BIGINT", "job_id": "VARCHAR", "parent_job_id": "VARCHAR", "root_job_id": "VARCHAR", "flag": "BOOLEAN"}]'
        ),
        recursive := true
    )
)
SELECT wanted.class AS class, filled.id::VARCHAR AS id
FROM (
    FROM log
    UNION ALL BY NAME
    -- Gives the columns that a log may lack.
    SELECT NULL AS id, NULL::BOOLEAN AS is_root_job, NULL::VARCHAR AS root_job_id WHERE false
) AS filled
JOIN wanted
    ON wanted.job_id IS NOT DISTINCT FROM filled.job_id::VARCHAR
    AND wanted.parent_job_id IS NOT DISTINCT FROM filled.parent_job_id::VARCHAR
    AND wanted.root_job_id IS NOT DISTINCT FROM filled.root_job_id::VARCHAR
WHERE wanted.flag IS NULL OR wanted.flag = coalesce(filled.is_root_job, false)
QUALIFY row_number() OVER (PARTITION BY wanted.class ORDER BY filled.id) <= $2
ORDER BY wanted.class, filled.id
