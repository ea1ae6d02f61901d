-- The recursive backfill of Example 3: climb from parent id to parent id
-- params: $1 depth limit
-- returns: none; after backfill_root_rows
-- order: none; candidates of equal depth tie, and the server's plan decides
WITH RECURSIVE chain AS (
    SELECT
        entry.id,
        entry.parent_job_id AS candidate,
        1 AS depth
    FROM llama_logs AS entry
    WHERE entry.parent_job_id IS NOT NULL

    UNION ALL

    SELECT
        chain.id,
        parent.parent_job_id,
        chain.depth + 1
    FROM chain
    JOIN llama_logs AS parent ON parent.job_id = chain.candidate
    WHERE parent.parent_job_id IS NOT NULL AND chain.depth < $1
)
UPDATE llama_logs AS target
SET root_job_id = deepest.candidate
FROM (
    SELECT DISTINCT ON (id) id, candidate
    FROM chain
    ORDER BY id, depth DESC
) AS deepest
WHERE target.id = deepest.id
