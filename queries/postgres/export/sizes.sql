-- Bytes that a relation, its partitions and its children occupy.
-- params: $1 oid of the relation
-- returns: heap_bytes int8, index_bytes int8, toast_bytes int8, total_bytes int8
-- order: none
--
-- toast_bytes counts the out-of-line values and their index; the free space and visibility maps are in total_bytes only.
WITH RECURSIVE part (oid) AS (
    SELECT $1::oid
    UNION
    SELECT h.inhrelid FROM part JOIN pg_catalog.pg_inherits AS h ON h.inhparent = part.oid
)
SELECT
    coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(c.oid)), 0)::int8 AS heap_bytes,
    coalesce(pg_catalog.sum(pg_catalog.pg_indexes_size(c.oid)), 0)::int8 AS index_bytes,
    coalesce(pg_catalog.sum(CASE WHEN c.reltoastrelid <> 0 THEN
        pg_catalog.pg_relation_size(c.reltoastrelid) + pg_catalog.pg_indexes_size(c.reltoastrelid)
    END), 0)::int8 AS toast_bytes,
    coalesce(pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::int8 AS total_bytes
FROM part
JOIN pg_catalog.pg_class AS c ON c.oid = part.oid
