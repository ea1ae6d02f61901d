-- Give every row that has a job and no parent its own job as the root
-- params: none
-- returns: none; the first statement of the backfill, in all its forms
-- order: none
UPDATE llama_logs
SET root_job_id = job_id
WHERE parent_job_id IS NULL AND job_id IS NOT NULL
