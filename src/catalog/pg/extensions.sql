-- What the extensions of the server's distribution bring, once they are created: extension, kind (f: function, o: operator between
-- types of pg_catalog), name, left and right type of an operator.
SELECT DISTINCT concat_ws(E'\t', e.extname, m.kind, m.name, m.left_type, m.right_type) COLLATE "C" AS line
FROM pg_extension AS e
JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
CROSS JOIN LATERAL (
    SELECT 'f' AS kind, p.proname AS name, NULL AS left_type, NULL AS right_type
    FROM pg_proc AS p
    WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid
      AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'language_handler'::regtype, 'fdw_handler'::regtype)
      AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS u(ty) WHERE u.ty IN ('internal'::regtype, 'cstring'::regtype))
    UNION ALL
    SELECT 'o', o.oprname, coalesce(l.typname, '-'), r.typname
    FROM pg_operator AS o
    LEFT JOIN pg_type AS l ON l.oid = o.oprleft
    JOIN pg_type AS r ON r.oid = o.oprright
    WHERE d.classid = 'pg_operator'::regclass AND o.oid = d.objid
      AND r.typnamespace = 'pg_catalog'::regnamespace AND coalesce(l.typnamespace, r.typnamespace) = 'pg_catalog'::regnamespace
) AS m
WHERE e.extname <> 'plpgsql'
ORDER BY line
