-- New cases of a batch with their first audit records and their events, from arrays, in one statement. The tenant was set
-- with the transaction.
WITH rows AS MATERIALIZED (
    SELECT * FROM unnest(
        $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::int[], $16::bool[], $17::bool[], $18::timestamptz[],
        $19::timestamptz[], $20::timestamptz[], $21::timestamptz[], $22::timestamptz[], $23::text[], $24::bytea[],
        $25::text[], $26::uuid[], $27::text[], $33::bigint[], $34::timestamptz[])
    AS r (id, reference, state, severity, confidentiality, title, narrative, respondent, case_type,
          reporter_id, assignee_id, proposed_by, decision, open_information_requests, legal_hold, deadline_extended,
          due_at, clock_paused_at, opened_at, created_at, closed_at, attributes, audit_head, record, event_id, data,
          deadline_seconds, next_notice_at)
),
created AS (
    INSERT INTO docket.cases
        (tenant_id, id, reference, version, state, severity, confidentiality, title, narrative, respondent, case_type,
         reporter_id, assignee_id, proposed_by, decision, open_information_requests, legal_hold, deadline_extended,
         due_at, clock_paused_at, opened_at, created_at, updated_at, closed_at, attributes, audit_seq, audit_head,
         deadline_seconds, next_notice_at)
    SELECT $1, id, reference, 1, state, severity, confidentiality, title, narrative, respondent, case_type,
           reporter_id, assignee_id, proposed_by, decision, open_information_requests, legal_hold, deadline_extended,
           due_at, clock_paused_at, opened_at, created_at, created_at, closed_at, attributes::jsonb, 1, audit_head,
           deadline_seconds, next_notice_at
    FROM rows
),
audited AS (
    INSERT INTO docket.audit_events
        (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
    SELECT $1, id, 1, created_at, $28, $29, 'allowed', record::json, $30, audit_head FROM rows
)
INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
SELECT $1, event_id, id, 1, $31, $28, $32, data::jsonb, created_at FROM rows
