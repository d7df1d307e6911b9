-- Moves a held cursor, begins its lease anew, and puts what was not taken into lanes.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
held AS (
    UPDATE docket.relay_cursors
    SET transaction_id = $4::text::xid8, event_id = $5, leased_until = now() + make_interval(secs => $6)
    WHERE (SELECT ready FROM context) AND reader = $2 AND lease_token = $3
    RETURNING tenant_id
),
diverted AS (
    SELECT held.tenant_id, given.* FROM held, unnest($8::uuid[], $9::bigint[], $10::uuid[], $11::smallint[], $12::text[],
                                                     $13::double precision[])
        AS given (case_id, sequence, event_id, attempts, error, after)
),
queued AS (
    INSERT INTO docket.deliveries (tenant_id, destination_id, case_id, sequence, event_id)
    SELECT tenant_id, $7, case_id, sequence, event_id FROM diverted
    ON CONFLICT DO NOTHING
    RETURNING case_id, sequence
),
lanes AS (
    INSERT INTO docket.delivery_lanes
        (tenant_id, destination_id, case_id, sink, pending, attempts, last_error, due_at)
    SELECT tenant_id, $7, case_id, $2, count(*), (array_agg(attempts ORDER BY sequence))[1],
           (array_agg(error ORDER BY sequence))[1],
           now() + make_interval(secs => (array_agg(after ORDER BY sequence))[1])
    FROM diverted JOIN queued USING (case_id, sequence) GROUP BY tenant_id, case_id ORDER BY case_id
    ON CONFLICT (tenant_id, destination_id, case_id)
        DO UPDATE SET pending = docket.delivery_lanes.pending + excluded.pending
)
SELECT EXISTS (SELECT FROM held) AS "held!"
