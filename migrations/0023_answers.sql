-- Answers, and what the models that gave them cost.
--
-- A question runs outside the database for seconds, so its idempotency key cannot be one transaction. The row of `answers`
-- is a lease instead: whoever asks first holds it under a token, a repeat meanwhile is told so, and when the holder died the
-- next repeat takes the lease over with the next token. Only the holder of the token may write the result.

CREATE TABLE docket.answers (
    tenant_id    uuid NOT NULL REFERENCES docket.tenants (id),
    id           uuid NOT NULL,
    principal_id uuid NOT NULL,
    -- The idempotency key's scope is (tenant, principal, key); a key that expired leaves its answer and goes.
    key_hash     bytea CHECK (octet_length(key_hash) = 32),
    fingerprint  bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    state        text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    lease_token  bigint NOT NULL DEFAULT 1,
    lease_until  timestamptz NOT NULL,
    question     text NOT NULL CHECK (length(question) BETWEEN 1 AND 4000),
    -- The answer as it was sent; null until it is done.
    body         json,
    -- Most confidential of what the answer was made from: whoever may not see that may not read the answer.
    confidentiality text CHECK (confidentiality IN ('public', 'internal', 'restricted')),
    -- The documents it was made from: when one of them is deleted, the answer goes, too.
    document_ids uuid[] NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state = 'done') = (body IS NOT NULL))
);
CREATE UNIQUE INDEX answers_key ON docket.answers (tenant_id, principal_id, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX answers_by_document ON docket.answers USING gin (document_ids) WITH (fastupdate = off);
CREATE INDEX answers_by_age ON docket.answers (created_at);
ALTER TABLE docket.answers ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.answers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.answers
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.answers TO docket_app;

-- What a tenant may spend on models in a calendar month (UTC), in nano-dollars. No row: what the configuration says.
CREATE TABLE docket.budgets (
    tenant_id     uuid PRIMARY KEY REFERENCES docket.tenants (id),
    monthly_nanos bigint NOT NULL CHECK (monthly_nanos >= 0),
    version       bigint NOT NULL DEFAULT 1,
    updated_at    timestamptz NOT NULL
);
ALTER TABLE docket.budgets ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.budgets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.budgets
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE ON docket.budgets TO docket_app;

-- What was spent in a month and what is reserved for calls under way. One row a tenant and month, changed by one statement
-- that also checks the limit: however many ask at once, spent and reserved together never pass it.
CREATE TABLE docket.spending (
    tenant_id      uuid NOT NULL REFERENCES docket.tenants (id),
    month          date NOT NULL,
    spent_nanos    bigint NOT NULL DEFAULT 0 CHECK (spent_nanos >= 0),
    reserved_nanos bigint NOT NULL DEFAULT 0 CHECK (reserved_nanos >= 0),
    PRIMARY KEY (tenant_id, month)
) WITH (fillfactor = 50);
ALTER TABLE docket.spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.spending FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.spending
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE ON docket.spending TO docket_app;

-- Every call of a model: reserved before it begins, settled when it ends, however it ends.
CREATE TABLE docket.model_calls (
    tenant_id          uuid NOT NULL,
    id                 uuid NOT NULL,
    principal_id       uuid NOT NULL,
    answer_id          uuid,
    purpose            text NOT NULL CHECK (purpose IN ('answer', 'chat', 'grade')),
    month              date NOT NULL,
    state              text NOT NULL CHECK (state IN ('reserved', 'settled')),
    -- How it ended: lost means that nobody settled it in time, and the whole reservation was charged.
    outcome            text CHECK (outcome IN ('complete', 'length', 'filtered', 'cancelled', 'failed', 'lost')),
    provider           text,
    model              text,
    reserved_nanos     bigint NOT NULL CHECK (reserved_nanos >= 0),
    cost_nanos         bigint CHECK (cost_nanos >= 0),
    input_tokens       bigint NOT NULL DEFAULT 0,
    cache_read_tokens  bigint NOT NULL DEFAULT 0,
    cache_write_tokens bigint NOT NULL DEFAULT 0,
    output_tokens      bigint NOT NULL DEFAULT 0,
    -- Whether the provider said what was used, or docket counted.
    estimated          boolean NOT NULL DEFAULT false,
    attempts           smallint NOT NULL DEFAULT 0,
    first_token_ms     integer,
    total_ms           integer,
    created_at         timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK ((state = 'settled') = (outcome IS NOT NULL AND cost_nanos IS NOT NULL))
);
CREATE INDEX model_calls_open ON docket.model_calls (expires_at) WHERE state = 'reserved';
CREATE INDEX model_calls_by_month ON docket.model_calls (tenant_id, month, model);
ALTER TABLE docket.model_calls ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.model_calls FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.model_calls
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.model_calls TO docket_app;

-- What readers thought of an answer, as a whole (citation 0) or of one of its citations (from 1).
CREATE TABLE docket.answer_feedback (
    tenant_id    uuid NOT NULL,
    answer_id    uuid NOT NULL,
    principal_id uuid NOT NULL,
    citation     smallint NOT NULL CHECK (citation >= 0),
    helpful      boolean NOT NULL,
    comment      text CHECK (length(comment) <= 2000),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, answer_id, principal_id, citation),
    FOREIGN KEY (tenant_id, answer_id) REFERENCES docket.answers (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE docket.answer_feedback ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.answer_feedback FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.answer_feedback
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.answer_feedback TO docket_app;

-- What crosses tenants (below) runs as the owner, and only the owner has these policies, as for the job queue.
CREATE POLICY ledger_functions ON docket.answers TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY ledger_functions ON docket.model_calls TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY ledger_functions ON docket.spending TO CURRENT_USER USING (true) WITH CHECK (true);

-- Claims a question, or says why not, in one round trip. Leases are compared with the database's clock alone.
CREATE FUNCTION docket.claim_answer(
    p_tenant uuid, p_id uuid, p_principal uuid, p_key bytea, p_fingerprint bytea, p_question text, p_now timestamptz,
    p_lease interval, p_key_lifetime interval)
    RETURNS TABLE (verdict text, id uuid, token bigint, body text, confidentiality text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_held record;
    v_until timestamptz := clock_timestamp() + p_lease;
BEGIN
    PERFORM set_config('docket.tenant', p_tenant::text, true);
    UPDATE docket.answers a SET key_hash = NULL
    WHERE a.tenant_id = p_tenant AND a.principal_id = p_principal AND a.key_hash = p_key
      AND a.created_at < p_now - p_key_lifetime AND (a.state <> 'running' OR a.lease_until < clock_timestamp());
    INSERT INTO docket.answers (tenant_id, id, principal_id, key_hash, fingerprint, state, lease_until, question, created_at)
    VALUES (p_tenant, p_id, p_principal, p_key, p_fingerprint, 'running', v_until, p_question, p_now)
    ON CONFLICT (tenant_id, principal_id, key_hash) WHERE key_hash IS NOT NULL DO NOTHING;
    IF FOUND THEN
        RETURN QUERY SELECT 'mine'::text, p_id, 1::bigint, NULL::text, NULL::text;
        RETURN;
    END IF;
    SELECT a.id, a.fingerprint, a.state, a.lease_token, a.lease_until, a.body, a.confidentiality INTO v_held
    FROM docket.answers a
    WHERE a.tenant_id = p_tenant AND a.principal_id = p_principal AND a.key_hash = p_key FOR UPDATE;
    IF NOT FOUND OR v_held.fingerprint = p_fingerprint AND v_held.state = 'running' AND v_held.lease_until > clock_timestamp() THEN
        -- Not found: whoever held the key gave it up at this moment, and the next try will have it.
        RETURN QUERY SELECT 'in_flight'::text, NULL::uuid, NULL::bigint, NULL::text, NULL::text;
    ELSIF v_held.fingerprint <> p_fingerprint THEN
        RETURN QUERY SELECT 'key_reused'::text, NULL::uuid, NULL::bigint, NULL::text, NULL::text;
    ELSIF v_held.state = 'done' THEN
        RETURN QUERY SELECT 'done'::text, v_held.id, v_held.lease_token, v_held.body::text, v_held.confidentiality;
    ELSE
        UPDATE docket.answers a SET lease_token = a.lease_token + 1, lease_until = v_until, state = 'running'
        WHERE a.tenant_id = p_tenant AND a.id = v_held.id;
        RETURN QUERY SELECT 'mine'::text, v_held.id, v_held.lease_token + 1, NULL::text, NULL::text;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION docket.claim_answer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.claim_answer TO docket_app;

-- Reserves what a call may cost at most, or says why not: one round trip, and one row lock for calls that cost anything.
-- Runs with the caller's rights; row-level security holds.
CREATE FUNCTION docket.reserve_model_call(
    p_tenant uuid, p_id uuid, p_principal uuid, p_answer uuid, p_purpose text, p_nanos bigint, p_default_limit bigint,
    p_now timestamptz, p_expires timestamptz)
    RETURNS TABLE (granted boolean, monthly_nanos bigint, spent_nanos bigint, reserved_nanos bigint)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_month date := (date_trunc('month', p_now AT TIME ZONE 'UTC'))::date;
    v_limit bigint;
    v_spent bigint := 0;
    v_reserved bigint := 0;
    v_granted boolean := true;
BEGIN
    PERFORM set_config('docket.tenant', p_tenant::text, true);
    SELECT coalesce(b.monthly_nanos, p_default_limit) INTO v_limit
    FROM (SELECT) nothing LEFT JOIN docket.budgets b ON b.tenant_id = p_tenant;
    IF p_nanos > 0 THEN
        INSERT INTO docket.spending AS s (tenant_id, month) VALUES (p_tenant, v_month)
        ON CONFLICT (tenant_id, month) DO NOTHING;
        UPDATE docket.spending s SET reserved_nanos = s.reserved_nanos + p_nanos
        WHERE s.tenant_id = p_tenant AND s.month = v_month AND s.spent_nanos + s.reserved_nanos + p_nanos <= v_limit;
        v_granted := FOUND;
    END IF;
    SELECT s.spent_nanos, s.reserved_nanos INTO v_spent, v_reserved
    FROM docket.spending s WHERE s.tenant_id = p_tenant AND s.month = v_month;
    IF v_granted THEN
        INSERT INTO docket.model_calls (tenant_id, id, principal_id, answer_id, purpose, month, state, reserved_nanos,
                                        created_at, expires_at)
        VALUES (p_tenant, p_id, p_principal, p_answer, p_purpose, v_month, 'reserved', p_nanos, p_now, p_expires);
    END IF;
    RETURN QUERY SELECT v_granted, v_limit, coalesce(v_spent, 0), coalesce(v_reserved, 0);
END
$$;
REVOKE ALL ON FUNCTION docket.reserve_model_call FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.reserve_model_call TO docket_app;

-- Settles a call once: what was reserved goes, what it cost stays. A second settlement changes nothing and says so. The cost
-- is charged as it is, also above the reservation: what was used is owed.
CREATE FUNCTION docket.settle_model_call(
    p_tenant uuid, p_id uuid, p_outcome text, p_provider text, p_model text, p_cost bigint, p_input bigint,
    p_cache_read bigint, p_cache_write bigint, p_output bigint, p_estimated boolean, p_attempts smallint,
    p_first_token_ms integer, p_total_ms integer)
    RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_call record;
BEGIN
    PERFORM set_config('docket.tenant', p_tenant::text, true);
    UPDATE docket.model_calls c
    SET state = 'settled', outcome = p_outcome, provider = p_provider, model = p_model, cost_nanos = p_cost,
        input_tokens = p_input, cache_read_tokens = p_cache_read, cache_write_tokens = p_cache_write,
        output_tokens = p_output, estimated = p_estimated, attempts = p_attempts, first_token_ms = p_first_token_ms,
        total_ms = p_total_ms
    WHERE c.tenant_id = p_tenant AND c.id = p_id AND c.state = 'reserved'
    RETURNING c.month, c.reserved_nanos INTO v_call;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF v_call.reserved_nanos > 0 OR p_cost > 0 THEN
        INSERT INTO docket.spending AS s (tenant_id, month, spent_nanos) VALUES (p_tenant, v_call.month, p_cost)
        ON CONFLICT (tenant_id, month) DO UPDATE
        SET spent_nanos = s.spent_nanos + p_cost, reserved_nanos = s.reserved_nanos - v_call.reserved_nanos;
    END IF;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION docket.settle_model_call FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.settle_model_call TO docket_app;

-- Settles calls whose process died: the whole reservation is charged, because the provider may have worked for it. Runs for
-- all tenants, so it is the owner's.
CREATE FUNCTION docket.settle_lost_model_calls(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_lost bigint;
BEGIN
    WITH lost AS (
        UPDATE docket.model_calls c SET state = 'settled', outcome = 'lost', cost_nanos = c.reserved_nanos, estimated = true
        WHERE (c.tenant_id, c.id) IN (
            SELECT o.tenant_id, o.id FROM docket.model_calls o
            WHERE o.state = 'reserved' AND o.expires_at < clock_timestamp()
            ORDER BY o.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
        RETURNING c.tenant_id, c.month, c.reserved_nanos
    ),
    sums AS (SELECT l.tenant_id, l.month, sum(l.reserved_nanos)::bigint AS nanos, count(*) AS calls FROM lost l GROUP BY 1, 2),
    charged AS (
        UPDATE docket.spending s SET spent_nanos = s.spent_nanos + m.nanos, reserved_nanos = s.reserved_nanos - m.nanos
        FROM sums m WHERE s.tenant_id = m.tenant_id AND s.month = m.month
        RETURNING 1
    )
    SELECT coalesce(sum(m.calls), 0) INTO v_lost FROM sums m;
    RETURN v_lost;
END
$$;
REVOKE ALL ON FUNCTION docket.settle_lost_model_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.settle_lost_model_calls TO docket_app;

-- Removes answers that are older than an age; calls, budgets and sums stay.
CREATE FUNCTION docket.purge_answers(p_age interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM docket.answers a WHERE a.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.answers o
        WHERE o.created_at < clock_timestamp() - p_age ORDER BY o.created_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;
REVOKE ALL ON FUNCTION docket.purge_answers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.purge_answers TO docket_app;

-- A document that is deleted takes with it the answers that quote it, whoever deletes it and however.
CREATE FUNCTION docket.forget_answers_of_document() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM docket.answers a WHERE a.tenant_id = OLD.tenant_id AND a.document_ids @> ARRAY[OLD.id];
    RETURN NULL;
END
$$;
CREATE TRIGGER answers_go_with_their_documents AFTER DELETE ON docket.documents
    FOR EACH ROW EXECUTE FUNCTION docket.forget_answers_of_document();
