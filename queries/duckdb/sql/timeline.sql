-- How an album, artist or track got into the database, and what happened to it afterward
-- about: All rows of the root jobs that touch the entity, plus its rows without a job. Roots are root_job_id where the table has it, else walked from parent to parent. Depth is the shortest way down from the top.
-- params: entity uuid
-- returns: created_at, depth, operation, status, entity_type, entity_id, names_entity, duration_ms, error_code, origin, job_id, parent_job_id, root_job_id, id
-- order: created_at, depth, id
-- needs: id, entity_id, operation, status, job_id, parent_job_id, created_at
WITH RECURSIVE
-- Columns that a table may lack are NULL here.
entry AS (
    FROM log
    UNION ALL BY NAME
    SELECT
        NULL::UUID AS album_id, NULL::UUID AS artist_id, NULL::UUID AS track_id, NULL::VARCHAR AS entity_type,
        NULL::INTEGER AS duration_ms, NULL::VARCHAR AS error_code, NULL::VARCHAR AS root_job_id
    WHERE false
),
has AS (
    SELECT count(*) > 0 AS stored_roots FROM (DESCRIBE log) WHERE column_name = 'root_job_id'
),
marked AS MATERIALIZED (
    SELECT
        id, created_at, operation, status, entity_type, entity_id, duration_ms, error_code,
        job_id, parent_job_id, root_job_id,
        coalesce(TRY_CAST(entity_id AS UUID) = CAST($entity AS UUID), false)
            OR coalesce(TRY_CAST(album_id AS UUID) = CAST($entity AS UUID), false)
            OR coalesce(TRY_CAST(artist_id AS UUID) = CAST($entity AS UUID), false)
            OR coalesce(TRY_CAST(track_id AS UUID) = CAST($entity AS UUID), false) AS names_entity
    FROM entry
),
edge AS MATERIALIZED (
    SELECT DISTINCT job_id AS job, parent_job_id AS parent
    FROM marked
    WHERE job_id IS NOT NULL AND parent_job_id IS NOT NULL
),
-- Upwards: the jobs that touch the entity and all their ancestors. A set, so a circle ends the walk as well as a root does.
ancestor(job) AS (
    SELECT DISTINCT job
    FROM (SELECT unnest([coalesce(job_id, parent_job_id), root_job_id]) AS job FROM marked WHERE names_entity)
    WHERE job IS NOT NULL
    UNION
    SELECT edge.parent FROM ancestor JOIN edge ON edge.job = ancestor.job
),
top AS (
    SELECT job FROM ancestor WHERE job NOT IN (SELECT job FROM edge)
),
-- Ancestors below a top; the others go round in circles.
below(job) AS (
    SELECT job FROM top
    UNION
    SELECT edge.job FROM below JOIN edge ON edge.parent = below.job WHERE edge.job IN (SELECT job FROM ancestor)
),
start AS (
    SELECT
        ancestor.job,
        CASE
            WHEN ancestor.job NOT IN (SELECT job FROM below) THEN 'circular'
            WHEN ancestor.job IN (SELECT job_id FROM marked WHERE job_id IS NOT NULL) THEN 'root job'
            ELSE 'missing parent'
        END AS origin
    FROM ancestor
    WHERE ancestor.job IN (SELECT job FROM top) OR ancestor.job NOT IN (SELECT job FROM below)
),
-- Downwards: every job under those, at its real depth; a job that was reached keeps its depth.
family(job, depth, root, origin) USING KEY (job) AS (
    SELECT job, 0, job, origin FROM start
    UNION
    SELECT edge.job, min(family.depth) + 1, min(family.root), min(family.origin)
    FROM family
    JOIN edge ON edge.parent = family.job
    ANTI JOIN recurring.family AS known ON known.job = edge.job
    GROUP BY edge.job
)
SELECT
    marked.created_at,
    CASE WHEN family.job IS NULL THEN NULL ELSE family.depth + CASE WHEN marked.job_id IS NULL THEN 1 ELSE 0 END END AS depth,
    marked.operation,
    marked.status,
    marked.entity_type,
    marked.entity_id,
    marked.names_entity,
    marked.duration_ms,
    marked.error_code,
    CASE
        WHEN NOT has.stored_roots THEN coalesce(family.origin, 'unknown')
        WHEN marked.root_job_id IS NULL THEN 'unknown'
        ELSE 'root job'
    END AS origin,
    marked.job_id,
    marked.parent_job_id,
    CASE
        WHEN has.stored_roots THEN marked.root_job_id
        WHEN family.origin = 'root job' THEN family.root
    END AS root_job_id,
    marked.id
FROM marked
CROSS JOIN has
LEFT JOIN family ON family.job = coalesce(marked.job_id, marked.parent_job_id)
WHERE CASE
    WHEN has.stored_roots AND marked.root_job_id IS NOT NULL
        THEN marked.root_job_id IN (SELECT root_job_id FROM marked WHERE names_entity AND root_job_id IS NOT NULL)
    WHEN has.stored_roots THEN marked.names_entity
    ELSE family.job IS NOT NULL OR (marked.names_entity AND marked.job_id IS NULL AND marked.parent_job_id IS NULL)
END
ORDER BY marked.created_at, depth, marked.id
