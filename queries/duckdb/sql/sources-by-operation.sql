-- Which sources each operation asks, and how often that succeeds
-- about: A row that asks two sources counts once for each of them.
-- params: none
-- returns: source, operation, rows, succeeded_rows
-- order: source, rows descending, operation
-- needs: sources, operation, status
SELECT
    source,
    operation,
    count(*) AS rows,
    count(*) FILTER (CAST(status AS VARCHAR) IN ('SUCCESS', 'PARTIAL_SUCCESS', 'COMPLETED')) AS succeeded_rows
FROM (SELECT unnest(sources) AS source, operation, status FROM log)
GROUP BY source, operation
ORDER BY source, rows DESC, operation
