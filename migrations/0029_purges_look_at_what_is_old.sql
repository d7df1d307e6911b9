-- Housekeeping reads what is old, and nothing else. A condition on clock_timestamp(), which may change within a statement,
-- cannot be one of an index: the index gave the order only, and with nothing to remove every row was read to say so (a
-- million keys: two seconds, every ten minutes, under a snapshot that kept other updates from being heap-only). The moment is
-- therefore taken once. Owners, rights and promises of the functions are those of 0008, 0023 and 0026.
CREATE OR REPLACE FUNCTION docket.purge_idempotency_keys(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - interval '1 hour';
    v_gone bigint;
BEGIN
    DELETE FROM docket.idempotency_keys k WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.idempotency_keys o WHERE o.expires_at < v_before
        ORDER BY o.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

CREATE OR REPLACE FUNCTION docket.purge_finished_jobs(p_before interval, p_dead_before interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - p_before;
    v_dead_before timestamptz := clock_timestamp() - p_dead_before;
    v_gone bigint;
BEGIN
    DELETE FROM docket.finished_jobs f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.finished_jobs o
        WHERE o.finished_at < greatest(v_before, v_dead_before)
          AND o.finished_at < CASE WHEN o.state = 'dead' THEN v_dead_before ELSE v_before END
        ORDER BY o.finished_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

CREATE OR REPLACE FUNCTION docket.purge_delivery_attempts(p_before interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - p_before;
    v_gone bigint;
BEGIN
    DELETE FROM docket.delivery_attempts a WHERE a.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.delivery_attempts o WHERE o.attempted_at < v_before
        ORDER BY o.attempted_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

CREATE OR REPLACE FUNCTION docket.purge_answers(p_age interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - p_age;
    v_gone bigint;
BEGIN
    DELETE FROM docket.answers a WHERE a.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.answers o
        WHERE o.created_at < v_before ORDER BY o.created_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

CREATE OR REPLACE FUNCTION docket.settle_lost_model_calls(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_lost bigint;
BEGIN
    WITH lost AS (
        UPDATE docket.model_calls c SET state = 'settled', outcome = 'lost', cost_nanos = c.reserved_nanos, estimated = true
        WHERE (c.tenant_id, c.id) IN (
            SELECT o.tenant_id, o.id FROM docket.model_calls o
            WHERE o.state = 'reserved' AND o.expires_at < v_now
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
