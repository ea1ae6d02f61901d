-- Entities that were linked although no row says how they were created
-- about: They are older than the log, or their creation isn't logged. Creations and links are read from the operation.
-- params: none
-- returns: entity_type, entity_id, links, first_linked_at, last_linked_at
-- order: links descending, entity_type, entity_id
-- needs: entity_type, entity_id, operation, status, created_at
SELECT
    entity_type,
    entity_id,
    count(*) FILTER (list_contains(part, 'linked')) AS links,
    min(created_at) FILTER (list_contains(part, 'linked')) AS first_linked_at,
    max(created_at) FILTER (list_contains(part, 'linked')) AS last_linked_at
FROM (SELECT *, string_split(lower(operation), ':') AS part FROM log)
WHERE entity_id IS NOT NULL AND CAST(status AS VARCHAR) <> 'FAILED'
GROUP BY entity_type, entity_id
HAVING links > 0 AND count(*) FILTER (list_contains(part, 'created')) = 0
ORDER BY links DESC, entity_type, entity_id
