-- Make the transaction's answers independent of the settings of the role, the database and the server.
-- params: none
-- returns: name text, setting text (what now holds)
-- order: name
--
-- search_path: catalog texts (format_type, pg_get_constraintdef) leave the schema out for what is in public, for nobody else.
-- row_security: off turns a silently filtered table into an error. The timeouts must not end a long COPY.
-- A table read as a whole comes in the order of its pages, neither from the middle on nor as parallel workers have it.
-- DateStyle, IntervalStyle, TimeZone: values that travel as text (ranges of times, composites) are the same for everybody.
-- client_encoding: a SQL_ASCII database holds bytes as they came; unconverted, the decoder can name the row that isn't UTF-8.
-- All is local to the transaction: behind a pooler, a session setting would stay with the server connection for its next user.
SELECT s.name AS name, pg_catalog.set_config(s.name, wanted.setting, true) AS setting
FROM (VALUES
    ('search_path', 'public'),
    ('row_security', 'off'),
    ('statement_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('synchronize_seqscans', 'off'),
    ('max_parallel_workers_per_gather', '0'),
    ('extra_float_digits', '3'),
    ('quote_all_identifiers', 'off'),
    ('bytea_output', 'hex'),
    ('DateStyle', 'ISO, MDY'),
    ('IntervalStyle', 'postgres'),
    ('TimeZone', 'UTC'),
    (
        'client_encoding',
        CASE WHEN pg_catalog.current_setting('server_encoding') OPERATOR(pg_catalog.=) 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END
    )
) AS wanted (name, setting)
JOIN pg_catalog.pg_settings AS s ON s.name OPERATOR(pg_catalog.=) wanted.name
ORDER BY s.name
