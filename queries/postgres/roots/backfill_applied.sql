-- The recursive backfill as it was applied: join the parent's row and take its job id
-- params: $1 depth limit
-- returns: none; after backfill_root_rows
-- order: none; candidates of equal depth tie, and the server's plan decides
WITH RECURSIVE chain AS (
    SELECT
        entry.id,
        entry.parent_job_id AS candidate,
        entry.parent_job_id AS next_job_id,
        1 AS depth
    FROM llama_logs AS entry
    WHERE entry.parent_job_id IS NOT NULL

    UNION ALL

    SELECT
        chain.id,
        parent.job_id,
        parent.parent_job_id,
        chain.depth + 1
    FROM chain
    JOIN llama_logs AS parent ON parent.job_id = chain.next_job_id
    WHERE chain.depth < $1
)
UPDATE llama_logs AS target
SET root_job_id = deepest.candidate
FROM (
    SELECT DISTINCT ON (id) id, candidate
    FROM chain
    ORDER BY id, depth DESC
) AS deepest
WHERE target.id = deepest.id
