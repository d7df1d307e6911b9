-- One act on an existing case: the guarded update, its audit record, its event and its stored answer, or nothing at all.
-- The tenant is set and the key's lock tried before any row is touched; a lock held by another request means "in flight".
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready,
           coalesce(pg_try_advisory_xact_lock($2), true) AS free
),
moved AS (
    UPDATE docket.cases
    SET version = $6, state = $7, assignee_id = $8, proposed_by = $9, decision = $10,
        open_information_requests = $11, deadline_extended = $12, due_at = $13, clock_paused_at = $14,
        updated_at = $15, closed_at = $16, audit_seq = $17, audit_head = $18, deadline_seconds = $36,
        warned_75_at = $37, warned_90_at = $38, breached_at = $39, next_notice_at = $40
    WHERE (SELECT ready AND free FROM context) AND id = $3 AND version = $4 AND audit_seq = $5
    RETURNING tenant_id, id
),
audited AS (
    INSERT INTO docket.audit_events
        (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
    SELECT tenant_id, id, $17, $19, $20, $21, $22, $23::text::json, $24, $18 FROM moved
),
emitted AS (
    INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
    SELECT tenant_id, $25::uuid, id, $6, $26::text, $20, $27::text, $28::text::jsonb, $19
    FROM moved WHERE $25::uuid IS NOT NULL
),
remembered AS (
    INSERT INTO docket.idempotency_keys
        (tenant_id, principal_id, key, fingerprint, status, etag, location, body, created_at, expires_at)
    SELECT tenant_id, $20, $29::text, $30::bytea, $31::smallint, $32::text, $33::text, $34::text, $19,
           now() + ($35::timestamptz - $19)
    FROM moved WHERE $29::text IS NOT NULL
)
SELECT (SELECT free FROM context) AS "free!", (SELECT count(*) FROM moved) AS "moved!"
