-- How many calls to other services each day made
-- params: none
-- returns: day, api_calls, rows_with_calls, most_calls
-- order: day
-- needs: created_at, api_call_count
SELECT
    CAST(created_at AS DATE) AS day,
    CAST(sum(api_call_count) AS BIGINT) AS api_calls,
    count(*) FILTER (api_call_count > 0) AS rows_with_calls,
    max(api_call_count) AS most_calls
FROM log
GROUP BY day
ORDER BY day
