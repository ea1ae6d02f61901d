-- Casts between types of pg_catalog: source, target, context (i: implicit, a: assignment, e: explicit), method (f: by a function,
-- i: by the text form, b: the same bytes), volatility of the function.
SELECT concat_ws(E'\t', s.typname, t.typname, c.castcontext, c.castmethod, coalesce(p.provolatile, 'i'))
FROM pg_cast AS c
JOIN pg_type AS s ON s.oid = c.castsource
JOIN pg_type AS t ON t.oid = c.casttarget
LEFT JOIN pg_proc AS p ON p.oid = c.castfunc
WHERE s.typnamespace = 'pg_catalog'::regnamespace AND t.typnamespace = 'pg_catalog'::regnamespace
ORDER BY s.typname COLLATE "C", t.typname COLLATE "C"
