-- The recursive backfill of Pattern 2: climb while the parent has a parent itself
-- params: $1 depth limit
-- returns: none; after backfill_root_rows
-- order: none; candidates of equal depth tie, and the server's plan decides
WITH RECURSIVE chain AS (
    SELECT
        entry.id,
        entry.job_id AS candidate,
        entry.parent_job_id AS next_job_id,
        0 AS depth
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
    WHERE parent.parent_job_id IS NOT NULL AND chain.depth < $1
)
UPDATE llama_logs AS target
SET root_job_id = (
    SELECT chain.candidate
    FROM chain
    WHERE chain.id = target.id
    ORDER BY chain.depth DESC
    LIMIT 1
)
WHERE target.parent_job_id IS NOT NULL
