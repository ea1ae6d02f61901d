-- The enums that the columns of some relations use, directly or as elements of an array.
-- params: $1 oids of the relations
-- returns: name text (as format_type writes it), labels text[] (in sort order)
-- order: name
SELECT
    pg_catalog.format_type(e.enumtypid, NULL) AS name,
    pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder) AS labels
FROM pg_catalog.pg_enum AS e
WHERE e.enumtypid IN (
    SELECT CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
)
GROUP BY e.enumtypid
ORDER BY 1
