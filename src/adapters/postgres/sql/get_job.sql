-- One job, wherever it stands.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT tenant_id AS "tenant_id!", id AS "id!", kind AS "kind!",
       CASE WHEN worker_id IS NULL THEN 'queued' ELSE 'running' END AS "state!", payload::text AS "payload!",
       priority AS "priority!", attempt AS "attempt!", run_at, unique_key, progress,
       cancel_requested AS "cancel_requested!", NULL::text AS result, last_error AS error, requested_by AS "requested_by!",
       created_at AS "created_at!", claimed_at, NULL::timestamptz AS finished_at
FROM docket.jobs WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = $2
UNION ALL
SELECT tenant_id, id, kind, state, payload::text, priority, attempt, NULL, unique_key, NULL, false, result::text, error,
       requested_by, created_at, claimed_at, finished_at
FROM docket.finished_jobs WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = $2
