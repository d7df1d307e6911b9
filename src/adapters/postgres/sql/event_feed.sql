-- Committed events after a position, in order of (transaction, id), of cases that the viewer may see now.
-- Only transactions below the snapshot's xmin are read: all of those have ended, so nothing can appear among them later.
-- The horizon comes along even when there is no event, so that a poller can move on past what it may not see.
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready, pg_snapshot_xmin(pg_current_snapshot()) AS horizon
),
page AS (
    SELECT e.id, e.case_id, e.sequence, e.type, e.traceparent, e.data, e.occurred_at, e.transaction_id
    FROM docket.outbox_events e
    LEFT JOIN docket.cases c ON c.tenant_id = e.tenant_id AND c.id = e.case_id
    WHERE (SELECT ready FROM context)
      AND (e.transaction_id, e.id) > ($7::text::xid8, $8)
      AND e.transaction_id < (SELECT horizon FROM context)
      AND ($6::text[] IS NULL OR e.type = ANY($6))
      AND CASE WHEN c.id IS NULL THEN $4::boolean
               ELSE (c.confidentiality = 'public' AND $2) OR (c.confidentiality = 'internal' AND $3)
                    OR (c.confidentiality = 'restricted' AND $4)
                    OR ($2 AND (c.reporter_id = $5 OR c.assignee_id = $5)) END
    ORDER BY e.transaction_id, e.id LIMIT $9
)
SELECT context.horizon::text::bigint AS "horizon!", page.id AS "id?", page.case_id AS "case_id?",
       page.sequence AS "sequence?", page.type AS "type?", page.traceparent AS "traceparent?", page.data AS "data?",
       page.occurred_at AS "occurred_at?", page.transaction_id::text::bigint AS "transaction_id?"
FROM context LEFT JOIN page ON true
ORDER BY page.transaction_id, page.id
