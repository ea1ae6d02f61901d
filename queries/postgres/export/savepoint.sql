-- Mark a place to come back to: a statement that the role may not run must not end the transaction.
-- params: none
-- returns: none
-- order: none
SAVEPOINT optional
