-- Acts on several cases of one tenant that were decided at the same time: `commit_change.sql` for requests that arrived
-- together. Each is guarded by itself; one that moved or whose key another request holds leaves nothing, the others are
-- committed. `place` counts from 1 and says which request a row answers. The rows come in the order of the cases' ids, so
-- that two such statements lock them in the same order; and nobody waits long for a case that somebody else holds: then the
-- statement fails and each act is tried alone.
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AND set_config('lock_timeout', '100ms', true) IS NOT NULL AS ready
),
acts AS MATERIALIZED (
    SELECT a.*, coalesce(pg_try_advisory_xact_lock(a.lock_key), true) AS free
    FROM unnest(
        $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::uuid[], $9::uuid[],
        $10::text[], $11::int[], $12::bool[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
        $16::timestamptz[], $17::bigint[], $18::bytea[], $19::timestamptz[], $20::uuid[], $21::text[], $22::text[],
        $23::text[], $24::bytea[], $25::uuid[], $26::text[], $27::text[], $28::text[], $29::text[], $30::bytea[],
        $31::smallint[], $32::text[], $33::text[], $34::text[], $35::timestamptz[], $36::bigint[], $37::timestamptz[],
        $38::timestamptz[], $39::timestamptz[], $40::timestamptz[])
    WITH ORDINALITY AS a (
        lock_key, id, decided_version, decided_seq, version, state, assignee_id, proposed_by,
        decision, open_information_requests, deadline_extended, due_at, clock_paused_at, updated_at,
        closed_at, seq, hash, occurred_at, actor_id, action, outcome,
        record, prev_hash, event_id, event_type, traceparent, event_data, key, fingerprint,
        status, etag, location, body, expires_at, deadline_seconds, warned_75_at,
        warned_90_at, breached_at, next_notice_at, place)
    WHERE (SELECT ready FROM context)
),
moved AS (
    UPDATE docket.cases c
    SET version = a.version, state = a.state, assignee_id = a.assignee_id, proposed_by = a.proposed_by,
        decision = a.decision, open_information_requests = a.open_information_requests,
        deadline_extended = a.deadline_extended, due_at = a.due_at, clock_paused_at = a.clock_paused_at,
        updated_at = a.updated_at, closed_at = a.closed_at, audit_seq = a.seq, audit_head = a.hash,
        deadline_seconds = a.deadline_seconds, warned_75_at = a.warned_75_at, warned_90_at = a.warned_90_at,
        breached_at = a.breached_at, next_notice_at = a.next_notice_at
    FROM acts a
    WHERE (SELECT ready FROM context) AND a.free AND c.id = a.id
      AND c.version = a.decided_version AND c.audit_seq = a.decided_seq
    RETURNING c.tenant_id, a.place
),
audited AS (
    INSERT INTO docket.audit_events
        (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
    SELECT m.tenant_id, a.id, a.seq, a.occurred_at, a.actor_id, a.action, a.outcome, a.record::json, a.prev_hash, a.hash
    FROM moved m JOIN acts a USING (place)
),
emitted AS (
    INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
    SELECT m.tenant_id, a.event_id, a.id, a.version, a.event_type, a.actor_id, a.traceparent, a.event_data::jsonb,
           a.occurred_at
    FROM moved m JOIN acts a USING (place) WHERE a.event_id IS NOT NULL
),
remembered AS (
    INSERT INTO docket.idempotency_keys
        (tenant_id, principal_id, key, fingerprint, status, etag, location, body, created_at, expires_at)
    SELECT m.tenant_id, a.actor_id, a.key, a.fingerprint, a.status, a.etag, a.location, a.body, a.occurred_at,
           now() + (a.expires_at - a.occurred_at)
    FROM moved m JOIN acts a USING (place) WHERE a.key IS NOT NULL
)
SELECT a.place AS "place!", a.free AS "free!", m.place IS NOT NULL AS "moved!"
FROM acts a LEFT JOIN moved m USING (place)
