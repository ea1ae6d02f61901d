-- Operators of pg_catalog: name, left type (-: a prefix operator), right type, result, volatility (i, s, v) of its function.
SELECT concat_ws(E'\t', o.oprname, coalesce(l.typname, '-'), r.typname, t.typname, p.provolatile)
FROM pg_operator AS o
LEFT JOIN pg_type AS l ON l.oid = o.oprleft
JOIN pg_type AS r ON r.oid = o.oprright
JOIN pg_type AS t ON t.oid = o.oprresult
JOIN pg_proc AS p ON p.oid = o.oprcode
WHERE o.oprnamespace = 'pg_catalog'::regnamespace
ORDER BY o.oprname COLLATE "C", l.typname COLLATE "C", r.typname COLLATE "C"
