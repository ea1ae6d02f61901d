-- Types of pg_catalog, but for the row types of its tables: name, name in messages, category, preferred, kind, element (of an array;
-- of a range its bounds' type, of a multirange its range), array, volatility of reading and writing its text.
SELECT concat_ws(E'\t', t.typname, format_type(t.oid, NULL), t.typcategory,
                 CASE WHEN t.typispreferred THEN 'p' ELSE '-' END, t.typtype,
                 coalesce(CASE WHEN t.typlen = -1 THEN e.typname END, s.typname, m.typname, '-'), coalesce(a.typname, '-'), i.provolatile, w.provolatile)
FROM pg_type AS t
JOIN pg_proc AS i ON i.oid = t.typinput
JOIN pg_proc AS w ON w.oid = t.typoutput
LEFT JOIN pg_type AS e ON e.oid = t.typelem
LEFT JOIN pg_type AS a ON a.oid = t.typarray
LEFT JOIN pg_range AS r ON r.rngtypid = t.oid
LEFT JOIN pg_type AS s ON s.oid = r.rngsubtype
LEFT JOIN pg_range AS o ON o.rngmultitypid = t.oid
LEFT JOIN pg_type AS m ON m.oid = o.rngtypid
WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype <> 'c' AND e.typtype IS DISTINCT FROM 'c'
ORDER BY t.typname COLLATE "C"
