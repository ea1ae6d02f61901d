-- Where the time goes: operations by how long they take
-- about: Percentiles are values that occur in the log, over the rows that have a duration.
-- params: limit integer = 20
-- returns: operation, rows, median_ms, p95_ms, max_ms, total_ms
-- order: p95_ms descending, operation
-- needs: operation, duration_ms
SELECT
    operation,
    count(*) AS rows,
    quantile_disc(duration_ms, 0.5) AS median_ms,
    quantile_disc(duration_ms, 0.95) AS p95_ms,
    max(duration_ms) AS max_ms,
    CAST(sum(duration_ms) AS BIGINT) AS total_ms
FROM log
WHERE duration_ms IS NOT NULL
GROUP BY operation
ORDER BY p95_ms DESC, operation
LIMIT CAST($limit AS BIGINT)
