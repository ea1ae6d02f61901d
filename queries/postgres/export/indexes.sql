-- The indexes of a relation; for a partitioned one, each with the bytes of all its parts.
-- params: $1 oid of the relation
-- returns: name text, method text, is_unique bool, is_primary bool, definition text, size_bytes int8
-- order: primary key first, then by name
SELECT
    ic.relname::text AS name,
    am.amname::text AS method,
    i.indisunique AS is_unique,
    i.indisprimary AS is_primary,
    pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
    (
        WITH RECURSIVE part (oid) AS (
            SELECT i.indexrelid
            UNION
            SELECT h.inhrelid FROM part JOIN pg_catalog.pg_inherits AS h ON h.inhparent = part.oid
        )
        SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(part.oid)), 0)::int8 FROM part
    ) AS size_bytes
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS ic ON ic.oid = i.indexrelid
JOIN pg_catalog.pg_am AS am ON am.oid = ic.relam
WHERE i.indrelid = $1
ORDER BY i.indisprimary DESC, ic.relname
