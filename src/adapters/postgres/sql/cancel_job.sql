-- A job that waits is cancelled: it leaves the queue and is kept as such.
WITH ended AS (
    DELETE FROM docket.jobs WHERE tenant_id = $1 AND id = $2 AND worker_id IS NULL RETURNING *
)
INSERT INTO docket.finished_jobs (tenant_id, id, kind, state, payload, priority, attempt, unique_key, lease_token, error,
                                  requested_by, traceparent, created_at, claimed_at)
SELECT tenant_id, id, kind, 'cancelled', payload, priority, attempt, unique_key, lease_token, last_error, requested_by,
       traceparent, created_at, claimed_at
FROM ended
