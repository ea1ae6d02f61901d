-- How long a question to the catalog may take: on a server in trouble, an export isn't what makes it worse.
-- params: none
-- returns: none
-- order: none
SET LOCAL statement_timeout = '60s'
