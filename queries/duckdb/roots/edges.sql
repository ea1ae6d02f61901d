-- Job, parent and stored root of each row
-- params: none
-- returns: job_id, parent_job_id, root_job_id (NULL where the log has no such column), flagged (marked is_root_job)
-- order: none; the reader doesn't depend on it
-- Not grouped: most logs have nearly as many combinations as rows, and the reader numbers every id anyway.
SELECT
    job_id::VARCHAR AS job_id,
    parent_job_id::VARCHAR AS parent_job_id,
    root_job_id::VARCHAR AS root_job_id,
    coalesce(is_root_job, false) AS flagged
FROM (
    FROM log
    UNION ALL BY NAME
    -- Gives the columns that a log may lack.
    SELECT NULL::BOOLEAN AS is_root_job, NULL::VARCHAR AS root_job_id WHERE false
)
