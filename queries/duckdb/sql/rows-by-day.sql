-- How many rows each day wrote, how many of them failed, and for how many jobs
-- params: none
-- returns: day, rows, failed_rows, jobs
-- order: day
-- needs: created_at, status, job_id
SELECT
    CAST(created_at AS DATE) AS day,
    count(*) AS rows,
    count(*) FILTER (CAST(status AS VARCHAR) = 'FAILED') AS failed_rows,
    count(DISTINCT job_id) AS jobs
FROM log
GROUP BY day
ORDER BY day
