-- How a relation, its partitions and its children lie on the disk: what no later question to a snapshot can find out.
-- params: $1 oid of the relation
-- returns: facts text (a JSON object; the module snapshot::physical says what is in it)
-- order: the relation itself, then its descendants by schema and name
--
-- Columns of catalogs that older servers lack are read through to_jsonb, which gives null for them.
WITH RECURSIVE part (oid) AS (
    SELECT $1::oid
    UNION
    SELECT h.inhrelid FROM part JOIN pg_catalog.pg_inherits AS h ON h.inhparent = part.oid
),
unit (block) AS (
    SELECT pg_catalog.current_setting('block_size')::int8
)
SELECT pg_catalog.jsonb_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind,
    'persistence', c.relpersistence,
    'access_method', a.amname,
    'options', coalesce(pg_catalog.to_jsonb(c.reloptions), '[]'),
    'heap_pages', CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid, 'main') / unit.block ELSE 0 END,
    'free_space_map_pages', CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid, 'fsm') / unit.block ELSE 0 END,
    'visibility_map_pages', CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid, 'vm') / unit.block ELSE 0 END,
    'planner', pg_catalog.jsonb_build_object(
        'pages', c.relpages, 'tuples', c.reltuples, 'all_visible_pages', c.relallvisible
    ),
    'toast', CASE WHEN t.oid IS NOT NULL THEN pg_catalog.jsonb_build_object(
        'pages', pg_catalog.pg_relation_size(t.oid, 'main') / unit.block,
        'index_pages', pg_catalog.pg_indexes_size(t.oid) / unit.block,
        'options', coalesce(pg_catalog.to_jsonb(t.reloptions), '[]')
    ) END,
    'columns', coalesce((
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'number', f.attnum,
            'name', CASE WHEN NOT f.attisdropped THEN f.attname END,
            'type', CASE WHEN NOT f.attisdropped THEN pg_catalog.format_type(f.atttypid, f.atttypmod) END,
            'length', f.attlen,
            'alignment', f.attalign,
            'storage', f.attstorage,
            'compression', nullif(pg_catalog.to_jsonb(f) ->> 'attcompression', ''),
            'has_missing', f.atthasmissing,
            'missing_value', CASE WHEN f.atthasmissing THEN (f.attmissingval::text::text[])[1] END,
            'collation', l.collname,
            'statistics', CASE WHEN s.attname IS NOT NULL THEN pg_catalog.jsonb_build_object(
                'null_fraction', s.null_frac, 'distinct', s.n_distinct, 'correlation', s.correlation, 'average_width_bytes', s.avg_width
            ) END
        ) ORDER BY f.attnum)
        FROM pg_catalog.pg_attribute AS f
        LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = f.attcollation
        LEFT JOIN pg_catalog.pg_stats AS s
            ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = f.attname AND NOT s.inherited
        WHERE f.attrelid = c.oid AND f.attnum > 0
    ), '[]'),
    'indexes', coalesce((
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'name', x.relname,
            'method', m.amname,
            'unique', i.indisunique,
            'valid', i.indisvalid,
            'partial', i.indpred IS NOT NULL,
            'pages', CASE WHEN x.relkind = 'i' THEN pg_catalog.pg_relation_size(x.oid, 'main') / unit.block ELSE 0 END,
            'tuples', x.reltuples,
            'options', coalesce(pg_catalog.to_jsonb(x.reloptions), '[]'),
            'keys', k.keys,
            'included_columns', i.indnatts - i.indnkeyatts,
            'deduplicates', m.amname = 'btree'
                AND pg_catalog.current_setting('server_version_num')::int4 >= 130000
                AND i.indnatts = i.indnkeyatts
                AND k.all_equal_by_image
                AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_options_to_table(x.reloptions) AS o
                    WHERE o.option_name = 'deduplicate_items' AND NOT o.option_value::bool
                )
        ) ORDER BY x.relname)
        FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
        JOIN pg_catalog.pg_am AS m ON m.oid = x.relam
        CROSS JOIN LATERAL (
            SELECT
                pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                    'definition', pg_catalog.pg_get_indexdef(i.indexrelid, place.number, true),
                    'operator_class', o.opcname,
                    'collation', l.collname,
                    'descending', i.indoption[place.number - 1] & 1 = 1,
                    'nulls_first', i.indoption[place.number - 1] & 2 = 2,
                    'equal_by_image', e.equal
                ) ORDER BY place.number) AS keys,
                pg_catalog.bool_and(e.equal) AS all_equal_by_image
            FROM pg_catalog.generate_series(1, i.indnkeyatts::int4) AS place (number)
            JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[place.number - 1]
            LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = i.indcollation[place.number - 1]
            LEFT JOIN pg_catalog.pg_amproc AS p
                ON p.amprocfamily = o.opcfamily AND p.amproclefttype = o.opcintype AND p.amprocrighttype = o.opcintype AND p.amprocnum = 4
            LEFT JOIN pg_catalog.pg_proc AS f ON f.oid = p.amproc
            CROSS JOIN LATERAL (
                SELECT m.amname = 'btree' AND CASE f.proname
                    WHEN 'btequalimage' THEN true
                    WHEN 'btvarstrequalimage' THEN coalesce(l.collisdeterministic, true)
                    ELSE false
                END
            ) AS e (equal)
        ) AS k
        WHERE i.indrelid = c.oid
    ), '[]'),
    'triggers', coalesce((
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
            'name', g.tgname, 'definition', pg_catalog.pg_get_triggerdef(g.oid), 'enabled', g.tgenabled
        ) ORDER BY g.tgname)
        FROM pg_catalog.pg_trigger AS g
        WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
    ), '[]'),
    'activity', CASE WHEN y.relid IS NOT NULL THEN pg_catalog.jsonb_build_object(
        'live_tuples', y.n_live_tup,
        'dead_tuples', y.n_dead_tup,
        'inserted_tuples', y.n_tup_ins,
        'updated_tuples', y.n_tup_upd,
        'hot_updated_tuples', y.n_tup_hot_upd,
        'deleted_tuples', y.n_tup_del,
        'modified_since_analyze', y.n_mod_since_analyze,
        'inserted_since_vacuum', pg_catalog.to_jsonb(y) -> 'n_ins_since_vacuum',
        'last_vacuum', pg_catalog.to_char(y.last_vacuum AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'last_autovacuum', pg_catalog.to_char(y.last_autovacuum AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'last_analyze', pg_catalog.to_char(y.last_analyze AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'last_autoanalyze', pg_catalog.to_char(y.last_autoanalyze AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    ) END
)::text AS facts
FROM part
CROSS JOIN unit
JOIN pg_catalog.pg_class AS c ON c.oid = part.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.reltoastrelid
LEFT JOIN pg_catalog.pg_stat_all_tables AS y ON y.relid = c.oid
ORDER BY c.oid <> $1::oid, n.nspname, c.relname
