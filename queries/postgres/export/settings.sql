-- Make the transaction's answers independent of the settings of the role, the database and the server.
-- params: none
-- returns: name text, setting text (what now holds)
-- order: name
--
-- search_path: catalog texts (format_type, pg_get_constraintdef) leave the schema out for what is in public, for nobody else.
-- row_security: off turns a silently filtered table into an error. The timeouts must not end a long COPY.
-- All is local to the transaction: behind a pooler, a session setting would stay with the server connection for its next user.
SELECT s.name AS name, pg_catalog.set_config(s.name, wanted.setting, true) AS setting
FROM (VALUES
    ('search_path', 'public'),
    ('row_security', 'off'),
    ('statement_timeout', '0'),
    ('idle_in_transaction_session_timeout', '0'),
    ('transaction_timeout', '0'),
    ('extra_float_digits', '3'),
    ('quote_all_identifiers', 'off'),
    ('bytea_output', 'hex')
) AS wanted (name, setting)
JOIN pg_catalog.pg_settings AS s ON s.name OPERATOR(pg_catalog.=) wanted.name
ORDER BY s.name
