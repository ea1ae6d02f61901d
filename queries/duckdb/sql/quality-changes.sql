-- What enrichment does to data quality: before and after
-- params: none
-- returns: entity_type, data_quality_before, data_quality_after, rows
-- order: entity_type, data_quality_before, data_quality_after
-- needs: entity_type, data_quality_before, data_quality_after
SELECT entity_type, data_quality_before, data_quality_after, count(*) AS rows
FROM log
WHERE data_quality_before IS NOT NULL OR data_quality_after IS NOT NULL
GROUP BY entity_type, data_quality_before, data_quality_after
ORDER BY entity_type, data_quality_before, data_quality_after
