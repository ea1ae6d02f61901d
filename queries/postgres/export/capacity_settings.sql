-- The settings that decide how much write-ahead log a change causes, and how large its pages are.
-- params: none
-- returns: name text, setting text (in the setting's own unit; null where the server has none of that name or the role may not see it), unit text or null
-- order: name
SELECT wanted.name AS name, s.setting AS setting, s.unit AS unit
FROM (VALUES
    ('autovacuum'),
    ('block_size'),
    ('checkpoint_completion_target'),
    ('checkpoint_timeout'),
    ('data_checksums'),
    ('default_toast_compression'),
    ('full_page_writes'),
    ('max_wal_size'),
    ('server_version_num'),
    ('wal_compression'),
    ('wal_level'),
    ('wal_log_hints'),
    ('wal_segment_size')
) AS wanted (name)
LEFT JOIN pg_catalog.pg_settings AS s ON s.name = wanted.name
ORDER BY 1
