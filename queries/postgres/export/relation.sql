-- One relation by its exact name, in the transaction that exports it.
-- params: $1 schema, $2 name
-- returns: oid oid, kind text (pg_class.relkind), readable bool (SELECT on the whole relation)
-- order: none
SELECT c.oid AS oid, c.relkind::text AS kind, pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1::text AND c.relname = $2::text
