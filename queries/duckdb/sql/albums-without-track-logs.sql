-- Albums whose tracks have no row of their own
-- about: An album counts when any row names it in album_id. Its tracks count when a row with entity_type TRACK names the album.
-- params: none
-- returns: album_id, rows, first_at, last_at, creation_logged
-- order: rows descending, album_id
-- needs: album_id, entity_type, operation, created_at
SELECT
    album_id,
    count(*) AS rows,
    min(created_at) AS first_at,
    max(created_at) AS last_at,
    bool_or(list_contains(string_split(lower(operation), ':'), 'created')) AS creation_logged
FROM log
WHERE album_id IS NOT NULL
GROUP BY album_id
HAVING count(*) FILTER (CAST(entity_type AS VARCHAR) = 'TRACK') = 0
ORDER BY rows DESC, album_id
