-- Which fields enrichment fills in, and for how many entities
-- params: none
-- returns: entity_type, field, rows, entities
-- order: entity_type, rows descending, field
-- needs: entity_type, entity_id, fields_enriched
SELECT entity_type, field, count(*) AS rows, count(DISTINCT entity_id) AS entities
FROM (SELECT entity_type, entity_id, unnest(fields_enriched) AS field FROM log)
GROUP BY entity_type, field
ORDER BY entity_type, rows DESC, field
