-- How many albums have how many rows: those that name the album, and those whose job, parent job or root job does
-- params: none
-- returns: rows_of_album, albums
-- order: rows_of_album
WITH named AS (
    SELECT
        coalesce(album_id, CASE WHEN CAST(entity_type AS VARCHAR) = 'ALBUM' THEN entity_id END) AS album,
        job_id, parent_job_id, root_job_id
    FROM album_log
),
-- A job whose rows name two albums belongs to neither.
job AS (
    SELECT job_id, min(album) AS album
    FROM named
    WHERE job_id IS NOT NULL AND album IS NOT NULL
    GROUP BY job_id
    HAVING min(album) = max(album)
),
placed AS (
    SELECT album, count(*) AS rows_of_album FROM named WHERE album IS NOT NULL GROUP BY album
    UNION ALL
    SELECT coalesce(own.album, parent.album, root.album) AS album, count(*) AS rows_of_album
    FROM (SELECT job_id, parent_job_id, root_job_id FROM named WHERE album IS NULL) AS unnamed
    LEFT JOIN job AS own ON own.job_id = unnamed.job_id
    LEFT JOIN job AS parent ON parent.job_id = unnamed.parent_job_id
    LEFT JOIN job AS root ON root.job_id = unnamed.root_job_id
    WHERE coalesce(own.album, parent.album, root.album) IS NOT NULL
    GROUP BY 1
),
album AS (SELECT album, CAST(sum(rows_of_album) AS BIGINT) AS rows_of_album FROM placed GROUP BY album)
SELECT rows_of_album, count(*) AS albums
FROM album
GROUP BY rows_of_album
ORDER BY rows_of_album
