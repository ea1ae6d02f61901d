-- The server and the snapshot that the transaction reads.
-- params: none
-- returns: version text, version_number int4, database text, role text, snapshot text, encoding text, collation text, time_zone text, in_recovery bool, captured_at text (RFC 3339, UTC)
-- order: none
--
-- txid_current_snapshot() prints what pg_current_snapshot() prints, which PostgreSQL 12 doesn't have.
SELECT
    pg_catalog.current_setting('server_version') AS version,
    pg_catalog.current_setting('server_version_num')::int4 AS version_number,
    d.datname::text AS database,
    current_user::text AS role,
    pg_catalog.txid_current_snapshot()::text AS snapshot,
    pg_catalog.current_setting('server_encoding') AS encoding,
    d.datcollate::text AS collation,
    pg_catalog.current_setting('TimeZone') AS time_zone,
    pg_catalog.pg_is_in_recovery() AS in_recovery,
    pg_catalog.to_char(
        pg_catalog.statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
    ) AS captured_at
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database()
