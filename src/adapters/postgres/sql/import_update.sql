-- Changed cases of a batch with their audit records and events, from arrays; a case that moved in the meantime is left out,
-- which the caller sees by the count and then takes everything back.
WITH rows AS MATERIALIZED (
    SELECT * FROM unnest(
        $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::int[], $16::bool[], $17::bool[], $18::timestamptz[],
        $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::text[], $24::bytea[],
        $25::text[], $26::uuid[], $27::text[], $28::bigint[], $29::bytea[],
        $34::bigint[], $35::timestamptz[], $36::timestamptz[], $37::timestamptz[], $38::timestamptz[])
    AS r (id, version, state, severity, confidentiality, title, narrative, respondent, case_type,
          reporter_id, assignee_id, proposed_by, decision, open_information_requests, legal_hold, deadline_extended,
          due_at, clock_paused_at, opened_at, updated_at, closed_at, attributes, audit_head, record, event_id, data,
          audit_seq, prev_hash, deadline_seconds, warned_75_at, warned_90_at, breached_at, next_notice_at)
),
moved AS (
    UPDATE docket.cases c
    SET version = r.version, state = r.state, severity = r.severity, confidentiality = r.confidentiality,
        title = r.title, narrative = r.narrative, respondent = r.respondent, case_type = r.case_type,
        reporter_id = r.reporter_id, assignee_id = r.assignee_id, proposed_by = r.proposed_by, decision = r.decision,
        open_information_requests = r.open_information_requests, legal_hold = r.legal_hold,
        deadline_extended = r.deadline_extended, due_at = r.due_at, clock_paused_at = r.clock_paused_at,
        opened_at = r.opened_at, updated_at = r.updated_at, closed_at = r.closed_at,
        deadline_seconds = r.deadline_seconds, warned_75_at = r.warned_75_at, warned_90_at = r.warned_90_at,
        breached_at = r.breached_at, next_notice_at = r.next_notice_at,
        attributes = r.attributes::jsonb, audit_seq = r.audit_seq, audit_head = r.audit_head
    FROM rows r
    WHERE c.tenant_id = $1 AND c.id = r.id AND c.version = r.version - 1 AND c.audit_seq = r.audit_seq - 1
    RETURNING c.id
),
audited AS (
    INSERT INTO docket.audit_events
        (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
    SELECT $1, id, audit_seq, updated_at, $30, $31, 'allowed', record::json, prev_hash, audit_head
    FROM rows JOIN moved USING (id)
),
emitted AS (
    INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
    SELECT $1, event_id, id, version, $32, $30, $33, data::jsonb, updated_at FROM rows JOIN moved USING (id)
)
SELECT count(*) AS "moved!" FROM moved
