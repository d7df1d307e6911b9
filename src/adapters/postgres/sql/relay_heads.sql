-- The heads of claimed lanes with their events and what is needed to send them. A statement of its own, because the one that
-- claimed may have waited for a lane and would look for its head in a snapshot from before.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT claimed.destination_id AS "destination_id!", head.sequence, e.id, e.case_id, e.type, e.traceparent, e.data,
       e.occurred_at, e.transaction_id::text::bigint AS "transaction_id!", w.url AS "url?",
       ARRAY(SELECT s.sealed FROM docket.webhook_secrets s
             WHERE s.endpoint_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())
             ORDER BY s.created_at DESC, s.id DESC) AS "secrets!"
FROM unnest($2::uuid[], $3::uuid[]) AS claimed (destination_id, case_id)
CROSS JOIN LATERAL (
    SELECT d.case_id, d.sequence FROM docket.deliveries d
    WHERE (SELECT ready FROM context) AND d.destination_id = claimed.destination_id AND d.case_id = claimed.case_id
    ORDER BY d.sequence LIMIT 1
) AS head
JOIN docket.outbox_events e ON e.case_id = head.case_id AND e.sequence = head.sequence
LEFT JOIN docket.webhook_endpoints w ON w.id = claimed.destination_id
WHERE (SELECT ready FROM context)
