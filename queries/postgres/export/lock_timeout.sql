-- Give up, rather than queue behind a migration that holds the table and make everybody else queue behind the export.
-- params: none
-- returns: none
-- order: none
SET LOCAL lock_timeout = '5s'
