-- Every row's id, job and parent, as the log has them and as text
-- params: none
-- returns: id, job_id, parent_job_id, job_text, parent_text
-- order: id, job_id, parent_job_id
-- The text is made after sorting: it needn't be carried along.
SELECT id, job_id, parent_job_id, job_id::VARCHAR AS job_text, parent_job_id::VARCHAR AS parent_text
FROM (
    SELECT id, job_id, parent_job_id
    FROM log
    ORDER BY id, job_id, parent_job_id
)
