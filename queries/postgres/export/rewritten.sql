-- Which tables have been truncated or rewritten since the transaction's snapshot was taken: their older rows are gone.
-- params: $1 oid[] (relations)
-- returns: name text
-- order: name
--
-- The catalog's row is read as of the snapshot, pg_relation_filenode() says what is so now. Partitions and children are in it.
WITH RECURSIVE tree (relation) AS (
    SELECT r.relation FROM pg_catalog.unnest($1::oid[]) AS r (relation)
    UNION
    SELECT i.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS i ON i.inhparent OPERATOR(pg_catalog.=) t.relation
)
SELECT c.oid::pg_catalog.regclass::text AS name
FROM tree AS t
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.relation
WHERE c.relfilenode OPERATOR(pg_catalog.<>) 0
    AND c.relfilenode OPERATOR(pg_catalog.<>) pg_catalog.pg_relation_filenode(c.oid)
ORDER BY name
