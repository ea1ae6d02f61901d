-- Go on after a statement that the server refused.
-- params: none
-- returns: none
-- order: none
ROLLBACK TO SAVEPOINT optional
