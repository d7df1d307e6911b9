-- A case with the head of its chain, and the answer stored under a key (when one is given), in one view.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT c.id, c.tenant_id, c.reference, c.version, c.state, c.severity, c.confidentiality, c.title, c.narrative,
       c.respondent, c.case_type, c.reporter_id, c.assignee_id, c.proposed_by, c.decision,
       c.open_information_requests, c.legal_hold, c.deadline_extended, c.due_at, c.clock_paused_at, c.opened_at,
       c.created_at, c.updated_at, c.closed_at, c.attributes, c.audit_seq, c.audit_head,
       c.deadline_seconds, c.warned_75_at, c.warned_90_at, c.breached_at, c.next_notice_at,
       k.fingerprint AS "fingerprint?", k.status AS "status?", k.etag AS "etag?", k.location AS "location?",
       k.body AS "body?", k.expires_at <= now() AS "expired?"
FROM docket.cases c
LEFT JOIN docket.idempotency_keys k
       ON k.tenant_id = c.tenant_id AND k.principal_id = $3 AND k.key = $4
WHERE (SELECT ready FROM context) AND c.id = $2
