-- The constraints of a relation.
-- params: $1 oid of the relation
-- returns: name text, kind text, definition text, columns text[] (in key order), validated bool
-- order: primary key first, then by kind and name
--
-- NOT NULL constraints, which PostgreSQL 18 lists here too, are told by the columns.
SELECT
    c.conname::text AS name,
    k.kind AS kind,
    pg_catalog.pg_get_constraintdef(c.oid) AS definition,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = key.number
        ORDER BY key.place
    ) AS columns,
    c.convalidated AS validated
FROM pg_catalog.pg_constraint AS c
JOIN (VALUES
    ('p', 'primary key', 1), ('u', 'unique', 2), ('f', 'foreign key', 3), ('c', 'check', 4), ('x', 'exclusion', 5), ('t', 'trigger', 6)
) AS k (code, kind, place) ON k.code = c.contype::text
WHERE c.conrelid = $1
ORDER BY k.place, c.conname
