-- Begin the one transaction of an export: every statement in it sees the same rows, and none can write.
-- params: none
-- returns: none
-- order: none
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
