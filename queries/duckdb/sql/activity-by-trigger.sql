-- Who or what set the work off
-- params: none
-- returns: triggered_by, rows, users, jobs, failed_rows, first_at, last_at
-- order: rows descending, triggered_by
-- needs: triggered_by, user_id, job_id, status, created_at
SELECT
    triggered_by,
    count(*) AS rows,
    count(DISTINCT user_id) AS users,
    count(DISTINCT job_id) AS jobs,
    count(*) FILTER (CAST(status AS VARCHAR) = 'FAILED') AS failed_rows,
    min(created_at) AS first_at,
    max(created_at) AS last_at
FROM log
GROUP BY triggered_by
ORDER BY rows DESC, triggered_by
