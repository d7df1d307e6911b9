-- The queue's statements must be planned well on an empty table, because that is when a worker first runs them, and the
-- plan is kept. Joining the given jobs with the table left the planner the choice to read the index of held jobs for each
-- of them: right for an empty table, a second for a thousand ends on a full one. Here each job is looked up by its key, and
-- rows are changed by their place, whatever the planner believes about sizes.

CREATE OR REPLACE FUNCTION docket.claim_jobs(p_worker uuid, p_kinds text[], p_wanted integer[], p_from_at timestamptz[], p_from_id uuid[])
    RETURNS TABLE (tenant_id uuid, id uuid, kind text, payload text, lane smallint, run_at timestamptz, attempt smallint,
                   lease_token bigint, requested_by uuid, traceparent text, waited_ms bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
    SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    -- Whoever gives this worker up deletes its row, and waits for this lock or makes this fail.
    PERFORM FROM docket.job_workers w WHERE w.id = p_worker FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is given up', p_worker USING ERRCODE = 'DK010';
    END IF;
    RETURN QUERY
    WITH slots AS (
        SELECT k.kind, l.lane::smallint AS lane, k.wanted,
               p_from_at[(k.place - 1) * 5 + l.lane + 1] AS from_at, p_from_id[(k.place - 1) * 5 + l.lane + 1] AS from_id
        FROM unnest(p_kinds, p_wanted) WITH ORDINALITY AS k (kind, wanted, place), generate_series(0, 4) AS l (lane)
    ),
    found AS MATERIALIZED (
        SELECT s.kind, s.lane, s.wanted, c.place, c.run_at, c.id
        FROM slots s CROSS JOIN LATERAL (
            SELECT j.ctid AS place, j.run_at, j.id
            FROM docket.jobs j
            WHERE j.worker_id IS NULL AND j.kind = s.kind AND j.lane = s.lane AND j.run_at <= v_now
              AND (j.run_at, j.id) >= (s.from_at, s.from_id)
            ORDER BY j.run_at, j.id LIMIT s.wanted FOR UPDATE SKIP LOCKED) c
    ),
    ranked AS (
        SELECT f.place, f.wanted, row_number() OVER (PARTITION BY f.kind ORDER BY f.lane, f.run_at, f.id) AS rank FROM found f
    )
    UPDATE docket.jobs j
    SET worker_id = p_worker, lease_token = j.lease_token + 1, attempt = j.attempt + 1, claimed_at = v_now
    WHERE j.ctid = ANY (ARRAY(SELECT r.place FROM ranked r WHERE r.rank <= r.wanted))
    RETURNING j.tenant_id, j.id, j.kind, j.payload::text, j.lane, j.run_at, j.attempt, j.lease_token, j.requested_by,
              j.traceparent, (extract(epoch FROM v_now - j.run_at) * 1000)::bigint;
END
$$;

-- `coalesce(worker_id, nil) <> nil` says "is held" in words that no partial index is offered for. A row that changes hands
-- between the look and the deletion is at another place then, and is left alone.
CREATE OR REPLACE FUNCTION docket.complete_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
    SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_ended bigint;
BEGIN
    DELETE FROM docket.jobs d WHERE d.ctid = ANY (ARRAY(
        SELECT h.place
        FROM unnest(p_tenants, p_ids, p_tokens) AS g (tenant_id, id, token) CROSS JOIN LATERAL (
            SELECT j.ctid AS place FROM docket.jobs j
            WHERE j.tenant_id = g.tenant_id AND j.id = g.id AND j.lease_token = g.token
              AND coalesce(j.worker_id, '00000000-0000-0000-0000-000000000000') <> '00000000-0000-0000-0000-000000000000'
            LIMIT 1) h));
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    RETURN v_ended;
END
$$;

-- One job after the other, each by its key: ends that leave something behind are the fewer ones.
CREATE OR REPLACE FUNCTION docket.settle_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[], p_verdicts text[],
                                              p_delays_ms bigint[], p_errors text[], p_results text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_given record;
    v_job docket.jobs;
    v_settled bigint := 0;
BEGIN
    FOR v_given IN
        -- In one order everywhere, so that two batches never wait for each other.
        SELECT * FROM unnest(p_tenants, p_ids, p_tokens, p_verdicts, p_delays_ms, p_errors, p_results)
            AS g (tenant_id, id, token, verdict, delay_ms, error, result) ORDER BY g.tenant_id, g.id
    LOOP
        IF v_given.verdict = 'retry' THEN
            UPDATE docket.jobs j
            SET worker_id = NULL, lane = j.priority, lease_token = j.lease_token + 1, last_error = v_given.error,
                progress = NULL, run_at = clock_timestamp() + v_given.delay_ms * interval '1 millisecond'
            WHERE j.tenant_id = v_given.tenant_id AND j.id = v_given.id AND j.lease_token = v_given.token
              AND coalesce(j.worker_id, '00000000-0000-0000-0000-000000000000') <> '00000000-0000-0000-0000-000000000000';
            v_settled := v_settled + CASE WHEN FOUND THEN 1 ELSE 0 END;
            CONTINUE;
        END IF;
        DELETE FROM docket.jobs j
        WHERE j.tenant_id = v_given.tenant_id AND j.id = v_given.id AND j.lease_token = v_given.token
          AND coalesce(j.worker_id, '00000000-0000-0000-0000-000000000000') <> '00000000-0000-0000-0000-000000000000'
        RETURNING j.* INTO v_job;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO docket.finished_jobs (tenant_id, id, kind, state, payload, priority, attempt, unique_key, lease_token,
                                          result, error, requested_by, traceparent, created_at, claimed_at)
        VALUES (v_job.tenant_id, v_job.id, v_job.kind, v_given.verdict, v_job.payload, v_job.priority, v_job.attempt,
                v_job.unique_key, v_job.lease_token, v_given.result::json, v_given.error, v_job.requested_by,
                v_job.traceparent, v_job.created_at, v_job.claimed_at);
        v_settled := v_settled + 1;
    END LOOP;
    RETURN v_settled;
END
$$;

CREATE OR REPLACE FUNCTION docket.reap_workers() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $$
DECLARE
    v_workers uuid[];
    v_jobs bigint;
BEGIN
    WITH given_up AS (
        DELETE FROM docket.job_workers w WHERE w.id IN (
            SELECT e.id FROM docket.job_workers e WHERE e.expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)
        RETURNING w.id
    )
    SELECT array_agg(g.id) FROM given_up g INTO v_workers;
    IF v_workers IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE docket.jobs j
    SET worker_id = NULL, lane = 0, lease_token = j.lease_token + 1, progress = NULL,
        last_error = 'the worker that held it stopped answering'
    WHERE j.worker_id = ANY (v_workers);
    GET DIAGNOSTICS v_jobs = ROW_COUNT;
    RETURN v_jobs;
END
$$;
