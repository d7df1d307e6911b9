-- New jobs of one tenant. One whose unique key a waiting or running job has is left out; the answer names the others.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, unique_key, requested_by, traceparent, created_at)
SELECT $1::text::uuid, n.id, n.kind, n.payload::json, n.priority, n.priority,
       greatest(n.run_at, clock_timestamp()), n.unique_key, n.requested_by, n.traceparent, clock_timestamp()
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[], $7::text[], $8::uuid[], $9::text[])
         AS n (id, kind, payload, priority, run_at, unique_key, requested_by, traceparent)
WHERE (SELECT ready FROM context)
ON CONFLICT (tenant_id, kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING
RETURNING id
