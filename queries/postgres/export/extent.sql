-- How much of the disk a relation, its partitions and its children occupy, and whether each can be read by ranges of pages.
-- params: $1 oid of the relation
-- returns: schema text, name text, kind text (pg_class.relkind), pages int8 (blocks of its own file), tuples float8 (the planner's estimate; negative where unknown), stored_bytes int8 (own file and out-of-line values), ranges bool (ctid ranges mean something, and the role may read it by itself)
-- order: the relation itself, then its descendants by schema and name
--
-- Policies for rows and rights on columns are the parent's where the parent is read: such a child isn't read by itself.
WITH RECURSIVE part (oid) AS (
    SELECT $1::oid
    UNION
    SELECT h.inhrelid FROM part JOIN pg_catalog.pg_inherits AS h ON h.inhparent = part.oid
)
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.relkind::text AS kind,
    CASE WHEN c.relkind IN ('r', 'm') THEN
        pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8
    ELSE 0 END AS pages,
    c.reltuples::float8 AS tuples,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) ELSE 0 END AS stored_bytes,
    c.relkind IN ('r', 'm', 'p')
        AND (c.relkind = 'p' OR coalesce(a.amname, '') = 'heap')
        AND NOT c.relrowsecurity
        AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS ranges
FROM part
JOIN pg_catalog.pg_class AS c ON c.oid = part.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
ORDER BY c.oid <> $1::oid, 1, 2
