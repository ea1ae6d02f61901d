-- Parameters that SET knows, and those that `pg_settings` doesn't list: name, kind of value, who may change it when.
SELECT concat_ws(E'\t', lower(name), vartype, context)
FROM (
    SELECT name, vartype, context FROM pg_settings
    UNION
    VALUES ('default_with_oids', 'bool', 'user'), ('is_superuser', 'bool', 'internal'), ('role', 'string', 'user'),
        ('seed', 'real', 'user'), ('session_authorization', 'string', 'user'), ('transaction_deferrable', 'bool', 'user'),
        ('transaction_isolation', 'enum', 'user'), ('transaction_read_only', 'bool', 'user'),
        ('sort_mem', 'integer', 'user'), ('vacuum_mem', 'integer', 'user')
) AS known
ORDER BY lower(name) COLLATE "C";
