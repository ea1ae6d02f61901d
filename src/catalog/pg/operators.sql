-- Operators of pg_catalog: name, left type (-: a prefix operator), right type, result.
SELECT concat_ws(E'\t', o.oprname, coalesce(l.typname, '-'), r.typname, t.typname)
FROM pg_operator AS o
LEFT JOIN pg_type AS l ON l.oid = o.oprleft
JOIN pg_type AS r ON r.oid = o.oprright
JOIN pg_type AS t ON t.oid = o.oprresult
WHERE o.oprnamespace = 'pg_catalog'::regnamespace
ORDER BY o.oprname COLLATE "C", l.typname COLLATE "C", r.typname COLLATE "C"
