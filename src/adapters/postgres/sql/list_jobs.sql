-- A page of jobs, newest first: those that wait or run and those that are kept, merged by id.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
live AS (
    SELECT tenant_id, id, kind, CASE WHEN worker_id IS NULL THEN 'queued' ELSE 'running' END AS state,
           payload::text AS payload, priority, attempt, run_at, unique_key, progress, cancel_requested,
           NULL::text AS result, last_error AS error, requested_by, created_at, claimed_at, NULL::timestamptz AS finished_at
    FROM docket.jobs
    WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND ($2::uuid IS NULL OR id < $2)
      AND (cardinality($3::text[]) = 0 OR CASE WHEN worker_id IS NULL THEN 'queued' ELSE 'running' END = ANY ($3))
      AND ($4::text IS NULL OR kind = $4)
    ORDER BY id DESC LIMIT $5
),
ended AS (
    SELECT tenant_id, id, kind, state, payload::text AS payload, priority, attempt, NULL::timestamptz AS run_at,
           unique_key, NULL::smallint AS progress, false AS cancel_requested, result::text AS result, error, requested_by,
           created_at, claimed_at, finished_at
    FROM docket.finished_jobs
    WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND ($2::uuid IS NULL OR id < $2)
      AND (cardinality($3::text[]) = 0 OR state = ANY ($3)) AND ($4::text IS NULL OR kind = $4)
    ORDER BY id DESC LIMIT $5
)
SELECT tenant_id AS "tenant_id!", id AS "id!", kind AS "kind!", state AS "state!", payload AS "payload!",
       priority AS "priority!", attempt AS "attempt!", run_at, unique_key, progress,
       cancel_requested AS "cancel_requested!", result, error, requested_by AS "requested_by!",
       created_at AS "created_at!", claimed_at, finished_at
FROM (SELECT * FROM live UNION ALL SELECT * FROM ended) AS page ORDER BY id DESC LIMIT $5
