-- Several cases of one tenant, each with the answer stored under its request's key: `load_case.sql` for requests that
-- arrived together. `place` counts from 1 and says which request a row answers; a case that is not there has no row.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT wanted.place AS "place!",
       c.id, c.tenant_id, c.reference, c.version, c.state, c.severity, c.confidentiality, c.title, c.narrative,
       c.respondent, c.case_type, c.reporter_id, c.assignee_id, c.proposed_by, c.decision,
       c.open_information_requests, c.legal_hold, c.deadline_extended, c.due_at, c.clock_paused_at, c.opened_at,
       c.created_at, c.updated_at, c.closed_at, c.attributes, c.audit_seq, c.audit_head,
       c.deadline_seconds, c.warned_75_at, c.warned_90_at, c.breached_at, c.next_notice_at,
       k.fingerprint AS "fingerprint?", k.status AS "status?", k.etag AS "etag?", k.location AS "location?",
       k.body AS "body?", k.expires_at <= now() AS "expired?"
FROM unnest($2::uuid[], $3::uuid[], $4::text[]) WITH ORDINALITY AS wanted (case_id, principal_id, key, place)
JOIN docket.cases c ON c.id = wanted.case_id
LEFT JOIN docket.idempotency_keys k
       ON k.tenant_id = c.tenant_id AND k.principal_id = wanted.principal_id AND k.key = wanted.key
WHERE (SELECT ready FROM context)
