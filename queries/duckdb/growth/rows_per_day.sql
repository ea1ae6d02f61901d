-- Rows written on each day that has any
-- params: none
-- returns: day (days since 1970-01-01; NULL for rows without created_at), rows
-- order: day, NULL last
SELECT
    date_diff('day', DATE '1970-01-01', CAST(CAST(created_at AS TIMESTAMP) AS DATE)) AS day,
    count(*) AS rows
FROM log
GROUP BY day
ORDER BY day
