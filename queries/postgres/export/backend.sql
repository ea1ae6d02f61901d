-- Who serves this transaction, and can it write?
-- params: none
-- returns: pid int4 (of the server's process), read_only bool
-- order: none
SELECT
    pg_catalog.pg_backend_pid() AS pid,
    pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' AS read_only
