-- How an album, artist or track got into the database, and what happened to it afterward
-- about: All rows of the root jobs that touch the entity, plus its rows without a job. Roots are root_job_id where the table has it, else walked from parent to parent. Depth is the shortest way down from the top.
-- params: entity uuid
-- returns: created_at, depth, operation, status, entity_type, entity_id, names_entity, duration_ms, error_code, origin, job_id, parent_job_id, root_job_id, id
-- order: created_at, depth, id
-- needs: id, entity_id, operation, status, job_id, parent_job_id, created_at
WITH RECURSIVE
-- Columns that a table may lack are NULL here.
entry AS NOT MATERIALIZED (
    FROM log
    UNION ALL BY NAME
    SELECT
        NULL::UUID AS album_id, NULL::UUID AS artist_id, NULL::UUID AS track_id, NULL::VARCHAR AS entity_type,
        NULL::INTEGER AS duration_ms, NULL::VARCHAR AS error_code, NULL::VARCHAR AS root_job_id
    WHERE false
),
has AS MATERIALIZED (
    SELECT count(*) > 0 AS stored_roots FROM (DESCRIBE log) WHERE column_name = 'root_job_id'
),
named AS MATERIALIZED (
    SELECT id, job_id, parent_job_id, root_job_id
    FROM entry
    WHERE TRY_CAST(entity_id AS UUID) = CAST($entity AS UUID)
        OR TRY_CAST(album_id AS UUID) = CAST($entity AS UUID)
        OR TRY_CAST(artist_id AS UUID) = CAST($entity AS UUID)
        OR TRY_CAST(track_id AS UUID) = CAST($entity AS UUID)
),
edge AS MATERIALIZED (
    SELECT DISTINCT job_id AS job, parent_job_id AS parent
    FROM log
    WHERE job_id IS NOT NULL AND parent_job_id IS NOT NULL
),
-- Upwards: the jobs that touch the entity and all their ancestors. A set, so a circle ends the walk as well as a root does.
ancestor(job) AS (
    SELECT DISTINCT job
    FROM (SELECT unnest([coalesce(job_id, parent_job_id), root_job_id]) AS job FROM named)
    WHERE job IS NOT NULL
    UNION
    SELECT edge.parent FROM ancestor JOIN edge ON edge.job = ancestor.job
),
upward AS MATERIALIZED (
    SELECT edge.job, edge.parent FROM edge SEMI JOIN ancestor ON ancestor.job = edge.job
),
top AS (
    SELECT job FROM ancestor ANTI JOIN upward USING (job)
),
-- Ancestors below a top; the others go round in circles.
below(job) AS (
    SELECT job FROM top
    UNION
    SELECT upward.job FROM below JOIN upward ON upward.parent = below.job
),
start AS (
    SELECT
        ancestor.job,
        CASE
            WHEN ancestor.job NOT IN (SELECT job FROM below) THEN 'circular'
            WHEN ancestor.job IN (SELECT job_id FROM log SEMI JOIN top ON top.job = log.job_id) THEN 'root job'
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
),
-- The rows to show: first which, then all about them, so that only those are held.
chosen AS MATERIALIZED (
    SELECT id FROM named
    WHERE CASE WHEN (SELECT stored_roots FROM has) THEN root_job_id IS NULL ELSE job_id IS NULL AND parent_job_id IS NULL END
    UNION
    SELECT id FROM entry WHERE (SELECT stored_roots FROM has) AND root_job_id IN (SELECT root_job_id FROM named)
    UNION
    SELECT log.id FROM log SEMI JOIN family ON family.job = coalesce(log.job_id, log.parent_job_id)
    WHERE NOT (SELECT stored_roots FROM has)
)
SELECT
    entry.created_at,
    family.depth + CASE WHEN entry.job_id IS NULL THEN 1 ELSE 0 END AS depth,
    entry.operation,
    entry.status,
    entry.entity_type,
    entry.entity_id,
    entry.id IN (SELECT id FROM named) AS names_entity,
    entry.duration_ms,
    entry.error_code,
    CASE
        WHEN NOT has.stored_roots THEN coalesce(family.origin, 'unknown')
        WHEN entry.root_job_id IS NULL THEN 'unknown'
        ELSE 'root job'
    END AS origin,
    entry.job_id,
    entry.parent_job_id,
    CASE
        WHEN has.stored_roots THEN entry.root_job_id
        WHEN family.origin = 'root job' THEN family.root
    END AS root_job_id,
    entry.id
FROM entry
SEMI JOIN chosen ON chosen.id = entry.id
CROSS JOIN has
LEFT JOIN family ON family.job = coalesce(entry.job_id, entry.parent_job_id)
ORDER BY entry.created_at, depth, entry.id
