-- How far the write-ahead log had come when the snapshot was taken; on a standby, how far it was replayed.
-- params: none
-- returns: lsn text
-- order: none
SELECT
    (CASE
        WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
        ELSE pg_catalog.pg_current_wal_lsn()
    END)::text AS lsn
