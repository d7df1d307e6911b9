-- A new case: the row, its first audit record, its event and its stored answer, or nothing at all. How long the key of the
-- answer lives is given by times of the service's clock, when it ends by the clock of this server.
WITH context AS MATERIALIZED (
    SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready,
           coalesce(pg_try_advisory_xact_lock($2), true) AS free
),
created AS (
    INSERT INTO docket.cases
        (tenant_id, id, reference, version, state, severity, confidentiality, title, narrative, respondent, case_type,
         reporter_id, opened_at, created_at, updated_at, attributes, audit_seq, audit_head)
    SELECT $1::text::uuid, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $14, $15::text::jsonb, $16, $17
    WHERE (SELECT ready AND free FROM context)
    RETURNING tenant_id, id
),
audited AS (
    INSERT INTO docket.audit_events
        (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
    SELECT tenant_id, id, $16, $14, $18, $19, 'allowed', $20::text::json, $21, $17 FROM created
),
emitted AS (
    INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
    SELECT tenant_id, $22, id, $5, $23, $18, $24::text, $25::text::jsonb, $14 FROM created
),
remembered AS (
    INSERT INTO docket.idempotency_keys
        (tenant_id, principal_id, key, fingerprint, status, etag, location, body, created_at, expires_at)
    SELECT tenant_id, $18, $26::text, $27::bytea, $28::smallint, $29::text, $30::text, $31::text, $14,
           now() + ($32::timestamptz - $14)
    FROM created WHERE $26::text IS NOT NULL
)
SELECT (SELECT free FROM context) AS "free!", (SELECT count(*) FROM created) AS "created!"
