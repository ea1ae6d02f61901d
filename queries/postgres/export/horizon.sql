-- For how long this transaction has kept the server from removing dead rows, when all is read.
-- params: none
-- returns: ended_at text (RFC 3339, UTC), held_ms int8, held_transactions int8 (null where nothing is held)
-- order: none
SELECT
    pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS ended_at,
    (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::int8 AS held_ms,
    pg_catalog.age(a.backend_xmin)::int8 AS held_transactions
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid = pg_catalog.pg_backend_pid()
