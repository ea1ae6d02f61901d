-- Functions of pg_catalog that a statement can call: name, kind (f: function, p: procedure, w: window function, n, o, h: aggregate,
-- plain, ordered-set and hypothetical), marks (s: strict; i, s, v: volatility; r: returns a set), result, argument types, type of a
-- VARIADIC element, the last arguments' defaults, names of arguments, result columns.
WITH called AS (
    SELECT p.*, r.typname AS result, v.typname AS variadic_type, a.aggkind,
           (SELECT string_agg(t.typname, ' ' ORDER BY u.n)
            FROM unnest(p.proargtypes) WITH ORDINALITY AS u(ty, n) JOIN pg_type AS t ON t.oid = u.ty) AS arguments,
           (SELECT string_agg(p.proargnames[u.n], ' ' ORDER BY u.n)
            FROM generate_subscripts(p.proargnames, 1) AS u(n)
            WHERE coalesce(p.proargmodes[u.n], 'i') IN ('i', 'b', 'v') AND p.proargnames[u.n] <> '') AS names,
           (SELECT string_agg(p.proargnames[u.n] || ' ' || t.typname, ' ' ORDER BY u.n)
            FROM unnest(p.proallargtypes) WITH ORDINALITY AS u(ty, n) JOIN pg_type AS t ON t.oid = u.ty
            WHERE p.proargmodes[u.n] IN ('o', 'b', 't')) AS columns
    FROM pg_proc AS p
    JOIN pg_type AS r ON r.oid = p.prorettype
    LEFT JOIN pg_type AS v ON v.oid = p.provariadic
    LEFT JOIN pg_aggregate AS a ON a.aggfnoid = p.oid
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND r.typname NOT IN ('internal', 'cstring', 'trigger', 'event_trigger', 'language_handler', 'fdw_handler',
                            'index_am_handler', 'table_am_handler', 'tsm_handler')
      AND NOT EXISTS (SELECT FROM unnest(p.proargtypes) AS u(ty) WHERE u.ty IN ('internal'::regtype, 'cstring'::regtype))
)
SELECT concat_ws(E'\t', proname, coalesce(aggkind, prokind)::text,
                 CASE WHEN proisstrict THEN 's' ELSE '-' END || provolatile::text || CASE WHEN proretset THEN 'r' ELSE '-' END,
                 result, coalesce(arguments, ''), coalesce(variadic_type, ''), coalesce(pg_get_expr(proargdefaults, 0), ''), coalesce(names, ''), coalesce(columns, ''))
FROM called
ORDER BY proname COLLATE "C", arguments COLLATE "C" NULLS FIRST, aggkind
