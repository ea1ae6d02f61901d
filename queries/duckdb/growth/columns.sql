-- The columns of the log in physical order, with the engine's type
-- params: none
-- returns: column_name, column_type
-- order: none
SELECT column_name, column_type FROM (DESCRIBE log)
