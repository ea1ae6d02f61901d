-- A name under which other connections can read what this transaction reads, as long as it is open.
-- params: none
-- returns: snapshot text
-- order: none
SELECT pg_catalog.pg_export_snapshot() AS snapshot
