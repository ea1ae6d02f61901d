-- Rows of unknown origin (no job, no parent) by month
-- params: none
-- returns: month, orphan_rows, rows, orphan_share
-- order: month
-- needs: job_id, parent_job_id, created_at
SELECT
    CAST(date_trunc('month', created_at) AS DATE) AS month,
    count(*) FILTER (job_id IS NULL AND parent_job_id IS NULL) AS orphan_rows,
    count(*) AS rows,
    round(orphan_rows / CAST(rows AS DOUBLE), 4) AS orphan_share
FROM log
GROUP BY month
ORDER BY month
