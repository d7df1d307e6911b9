-- Dead letters go back into the queue as if they had just been enqueued: one by its id, or some of a kind, oldest first.
-- Where another job holds the unique key by now, or an older dead letter has the same, the dead letter stays.
WITH chosen AS (
    SELECT f.tenant_id, f.id FROM docket.finished_jobs f
    WHERE f.tenant_id = $1 AND f.state = 'dead' AND ($2::uuid IS NULL OR f.id = $2) AND ($3::text IS NULL OR f.kind = $3)
      AND (f.unique_key IS NULL OR NOT EXISTS (
          SELECT FROM docket.jobs j WHERE j.tenant_id = f.tenant_id AND j.kind = f.kind AND j.unique_key = f.unique_key))
      AND (f.unique_key IS NULL OR $2::uuid IS NOT NULL OR NOT EXISTS (
          SELECT FROM docket.finished_jobs o WHERE o.tenant_id = f.tenant_id AND o.kind = f.kind AND o.state = 'dead'
              AND o.unique_key = f.unique_key AND o.id < f.id))
    ORDER BY f.id LIMIT $4
),
taken AS (
    DELETE FROM docket.finished_jobs f USING chosen c WHERE f.tenant_id = c.tenant_id AND f.id = c.id RETURNING f.*
)
INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, lease_token, unique_key, last_error,
                         requested_by, traceparent, created_at)
SELECT tenant_id, id, kind, payload, priority, priority, clock_timestamp(), lease_token + 1, unique_key, error,
       requested_by, traceparent, created_at
FROM taken
