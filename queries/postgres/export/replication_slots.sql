-- How many readers hold back the write-ahead log.
-- params: none
-- returns: slots int8
-- order: none
SELECT pg_catalog.count(*) AS slots FROM pg_catalog.pg_replication_slots
