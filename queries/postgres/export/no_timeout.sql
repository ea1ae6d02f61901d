-- From here on statements take as long as the tables are large.
-- params: none
-- returns: none
-- order: none
SET LOCAL statement_timeout = 0
