-- Rows for each distinct combination of job, parent and stored root
-- params: none
-- returns: job_id, parent_job_id, root_job_id (NULL where the log has no such column), rows, flagged_rows (marked is_root_job)
-- order: none; the reader doesn't depend on it
SELECT
    job_id::VARCHAR AS job_id,
    parent_job_id::VARCHAR AS parent_job_id,
    root_job_id::VARCHAR AS root_job_id,
    count(*) AS rows,
    count(*) FILTER (is_root_job) AS flagged_rows
FROM (
    FROM log
    UNION ALL BY NAME
    -- Gives the columns that a log may lack.
    SELECT NULL::BOOLEAN AS is_root_job, NULL::VARCHAR AS root_job_id WHERE false
)
GROUP BY ALL
