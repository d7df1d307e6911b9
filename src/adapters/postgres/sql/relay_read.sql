-- Events of the tenant after a position, in commit order, below the horizon (see event_feed.sql), for a sink. An event whose
-- case has a lane of this sink must go there, too, or it would overtake what waits.
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready, pg_snapshot_xmin(pg_current_snapshot()) AS horizon
)
SELECT e.id, e.case_id, e.sequence, e.type, e.traceparent, e.data, e.occurred_at,
       e.transaction_id::text::bigint AS "transaction_id!",
       EXISTS (SELECT FROM docket.delivery_lanes l WHERE l.destination_id = $5 AND l.case_id = e.case_id) AS "held!"
FROM docket.outbox_events e
WHERE (SELECT ready FROM context) AND (e.transaction_id, e.id) > ($2::text::xid8, $3)
  AND e.transaction_id < (SELECT horizon FROM context)
ORDER BY e.transaction_id, e.id LIMIT $4
