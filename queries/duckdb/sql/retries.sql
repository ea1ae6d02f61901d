-- Which operations are tried again, and whether it helps
-- params: none
-- returns: operation, rows, retried_rows, retries, most_retries, failed_after_retry
-- order: retries descending, operation
-- needs: operation, retry_count, status
SELECT
    operation,
    count(*) AS rows,
    count(*) FILTER (retry_count > 0) AS retried_rows,
    CAST(sum(retry_count) AS BIGINT) AS retries,
    max(retry_count) AS most_retries,
    count(*) FILTER (retry_count > 0 AND CAST(status AS VARCHAR) = 'FAILED') AS failed_after_retry
FROM log
GROUP BY operation
HAVING retries > 0
ORDER BY retries DESC, operation
