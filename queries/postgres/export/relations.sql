-- Everything a name may mean: tables, and what looks like one, outside the system's own schemas.
-- params: none
-- returns: schema text, name text, kind text (pg_class.relkind), visible int4 (place of the schema on the search path; null off it), schema_usable bool
-- order: schema, name
SELECT
    n.nspname::text AS schema,
    c.relname::text AS name,
    c.relkind::text AS kind,
    pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname) AS visible,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS schema_usable
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I', 'c')
    AND n.nspname !~ '^pg_(toast|temp|toast_temp)'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
