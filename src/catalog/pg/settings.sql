-- Parameters that SET knows, and those that `pg_settings` doesn't list: name, kind of value, who may change it when; of numbers the unit
-- and the least and greatest value, of words the words.
SELECT concat_ws(E'\t', lower(name), vartype, context, coalesce(unit, ''), coalesce(min_val, ''), coalesce(max_val, ''),
    coalesce(array_to_string(enumvals, '|'), ''))
FROM (
    SELECT name, vartype, context, unit, min_val, max_val, enumvals FROM pg_settings
    UNION ALL
    SELECT *, NULL, NULL, NULL, NULL FROM (VALUES
        ('default_with_oids', 'bool', 'user'), ('is_superuser', 'bool', 'internal'), ('role', 'string', 'user'),
        ('seed', 'real', 'user'), ('session_authorization', 'string', 'user'), ('transaction_deferrable', 'bool', 'user'),
        ('transaction_isolation', 'enum', 'user'), ('transaction_read_only', 'bool', 'user'),
        ('sort_mem', 'integer', 'user'), ('vacuum_mem', 'integer', 'user')) AS others
    WHERE column1 NOT IN (SELECT name FROM pg_settings)
) AS known
ORDER BY lower(name) COLLATE "C";
