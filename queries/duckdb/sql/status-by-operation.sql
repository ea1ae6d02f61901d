-- How each operation ends
-- params: none
-- returns: operation, status, rows, share
-- order: operation, rows descending, status
-- needs: operation, status
SELECT
    operation,
    status,
    count(*) AS rows,
    round(rows / CAST(sum(rows) OVER (PARTITION BY operation) AS DOUBLE), 4) AS share
FROM log
GROUP BY operation, status
ORDER BY operation, rows DESC, status
