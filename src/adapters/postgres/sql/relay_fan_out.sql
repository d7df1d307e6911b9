-- The next events of the tenant become deliveries of the endpoints that want them, and the cursor moves past them: one
-- statement, one commit. Whoever else holds the cursor at this moment does the same work, so nobody waits for it.
-- Endpoints are locked against their deletion, and before any lane as everywhere: who deletes one waits and finds all that was
-- written for it, and what is being deleted gets nothing. Where there are no events nothing is locked.
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready, pg_snapshot_xmin(pg_current_snapshot()) AS horizon
),
place AS MATERIALIZED (
    SELECT transaction_id, event_id FROM docket.relay_cursors
    WHERE (SELECT ready FROM context) AND reader = 'webhooks' FOR UPDATE SKIP LOCKED
),
batch AS MATERIALIZED (
    SELECT e.tenant_id, e.id, e.case_id, e.sequence, e.type, e.transaction_id
    FROM docket.outbox_events e
    WHERE (SELECT ready FROM context)
      AND (e.transaction_id, e.id) > ((SELECT transaction_id FROM place), (SELECT event_id FROM place))
      AND e.transaction_id < (SELECT horizon FROM context)
    ORDER BY e.transaction_id, e.id LIMIT $2
),
endpoints AS MATERIALIZED (
    SELECT w.id, w.since_transaction, w.event_types FROM docket.webhook_endpoints w
    WHERE (SELECT ready FROM context) AND EXISTS (SELECT FROM batch) AND w.enabled
    ORDER BY w.id FOR KEY SHARE
),
queued AS (
    INSERT INTO docket.deliveries (tenant_id, destination_id, case_id, sequence, event_id)
    SELECT b.tenant_id, w.id, b.case_id, b.sequence, b.id
    FROM batch b
    JOIN endpoints w
      ON b.transaction_id >= w.since_transaction AND (w.event_types = '{}' OR b.type = ANY(w.event_types))
    WHERE (SELECT ready FROM context)
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, destination_id, case_id
),
lanes AS (
    INSERT INTO docket.delivery_lanes (tenant_id, destination_id, case_id, pending)
    SELECT tenant_id, destination_id, case_id, count(*) FROM queued GROUP BY 1, 2, 3 ORDER BY 2, 3
    ON CONFLICT (tenant_id, destination_id, case_id)
        DO UPDATE SET pending = docket.delivery_lanes.pending + excluded.pending
),
moved AS (
    UPDATE docket.relay_cursors c SET transaction_id = last.transaction_id, event_id = last.id
    FROM (SELECT transaction_id, id FROM batch ORDER BY transaction_id DESC, id DESC LIMIT 1) AS last
    WHERE (SELECT ready FROM context) AND c.reader = 'webhooks'
)
SELECT (SELECT count(*) FROM batch) AS "passed!", EXISTS (SELECT FROM place) AS "mine!",
       EXISTS (SELECT FROM docket.relay_cursors WHERE (SELECT ready FROM context) AND reader = 'webhooks') AS "kept!"
