-- Every row with what is true of it and what the backfill gives it
-- params: none
-- returns: id, job_id, parent_job_id, outcome, root_job_id, depth, replay_root_job_id (NULL where the server's plan decides), replay_possible (the answers it may give there, else NULL)
-- order: id, job_id, parent_job_id
SELECT
    log.id,
    log.job_id,
    log.parent_job_id,
    verdict.outcome,
    verdict.root_job_id,
    verdict.depth,
    verdict.replay_root_job_id,
    verdict.replay_possible
FROM log
JOIN row_verdicts AS verdict
    ON verdict.job_id IS NOT DISTINCT FROM log.job_id::VARCHAR
    AND verdict.parent_job_id IS NOT DISTINCT FROM log.parent_job_id::VARCHAR
ORDER BY log.id, log.job_id, log.parent_job_id
