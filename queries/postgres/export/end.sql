-- End the look around that comes before the export's own transaction.
-- params: none
-- returns: none
-- order: none
COMMIT
