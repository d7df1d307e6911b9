-- Durable jobs: work that must be done once for every row here, by whichever process has time.
--
-- A job is a row of `jobs` while it waits or runs, and goes from there when it ends: without a trace, or into
-- `finished_jobs` when it failed for good, was cancelled, or has a result that somebody wants to read. Deleting keeps the
-- table and its indexes as small as the work at hand.
--
-- Who holds a job: `worker_id` names a row of `job_workers`, whose `expires_at` is the lease of everything that this
-- worker holds; one heartbeat renews it. Only the database's clock is compared with it. `lease_token` counts every change
-- of hands, and whoever wants to end a job must name the number that was given with it: a worker that lost its lease
-- without noticing is fenced off.

CREATE TABLE docket.job_workers (
    id         uuid PRIMARY KEY,
    -- Host and process, for people.
    name       text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
ALTER TABLE docket.job_workers ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.job_workers FORCE ROW LEVEL SECURITY;
-- Workers belong to the platform, not to a tenant.
CREATE POLICY platform ON docket.job_workers
    USING ((SELECT docket.current_tenant()) = '00000000-0000-0000-0000-000000000000')
    WITH CHECK ((SELECT docket.current_tenant()) = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, UPDATE ON docket.job_workers TO docket_app;

CREATE TABLE docket.jobs (
    -- The nil UUID for work of the platform itself.
    tenant_id        uuid NOT NULL,
    id               uuid NOT NULL,
    kind             text NOT NULL CHECK (kind ~ '^[a-z][a-z0-9_]{0,62}$'),
    -- Text of a JSON value; the handler of the kind says what it must hold.
    payload          json NOT NULL,
    priority         smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
    -- Which queue of the kind it stands in: its priority, or 0 when a worker gave it back or lost it, to be first again.
    lane             smallint NOT NULL CHECK (lane BETWEEN 0 AND 4),
    -- Not before this instant of the database's clock.
    run_at           timestamptz NOT NULL,
    -- How often it was begun, not counting what was handed back.
    attempt          smallint NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    worker_id        uuid,
    lease_token      bigint NOT NULL DEFAULT 0,
    claimed_at       timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    -- At most one job of a kind with this key waits or runs.
    unique_key       text CHECK (length(unique_key) BETWEEN 1 AND 255),
    progress         smallint CHECK (progress BETWEEN 0 AND 100),
    last_error       text,
    -- Who asked; the nil UUID is docket itself.
    requested_by     uuid NOT NULL,
    traceparent      text,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- What a claim reads: only rows that wait. A claimed row is in it no more.
CREATE INDEX jobs_ready ON docket.jobs (kind, lane, run_at, id) WHERE worker_id IS NULL;
-- What a worker holds, read when it hands back or is given up.
CREATE INDEX jobs_held ON docket.jobs (worker_id) WHERE worker_id IS NOT NULL;
-- What a heartbeat reads: almost always nothing.
CREATE INDEX jobs_to_cancel ON docket.jobs (worker_id) WHERE cancel_requested;
CREATE UNIQUE INDEX jobs_unique_key ON docket.jobs (tenant_id, kind, unique_key) WHERE unique_key IS NOT NULL;
-- A queue's rows live for seconds: statistics are always wrong, and what is dead should go soon.
ALTER TABLE docket.jobs SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE docket.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.jobs
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.jobs TO docket_app;

CREATE TABLE docket.finished_jobs (
    tenant_id    uuid NOT NULL,
    id           uuid NOT NULL,
    kind         text NOT NULL,
    state        text NOT NULL CHECK (state IN ('succeeded', 'dead', 'cancelled')),
    payload      json NOT NULL,
    priority     smallint NOT NULL,
    attempt      smallint NOT NULL,
    unique_key   text,
    -- Goes on where it stood when the job is redriven: a number is never given twice.
    lease_token  bigint NOT NULL,
    result       json,
    error        text,
    requested_by uuid NOT NULL,
    traceparent  text,
    created_at   timestamptz NOT NULL,
    claimed_at   timestamptz,
    finished_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX finished_jobs_by_end ON docket.finished_jobs (finished_at);
CREATE INDEX finished_jobs_dead ON docket.finished_jobs (tenant_id, kind, id) WHERE state = 'dead';
ALTER TABLE docket.finished_jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.finished_jobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.finished_jobs
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, DELETE ON docket.finished_jobs TO docket_app;

-- The last tick of each schedule that led to jobs. Comparing and moving it is one statement, so that a tick is enqueued
-- once however many processes look at the clock.
CREATE TABLE docket.job_schedules (
    name      text PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    last_tick timestamptz NOT NULL
);
ALTER TABLE docket.job_schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.job_schedules FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON docket.job_schedules
    USING ((SELECT docket.current_tenant()) = '00000000-0000-0000-0000-000000000000')
    WITH CHECK ((SELECT docket.current_tenant()) = '00000000-0000-0000-0000-000000000000');
GRANT SELECT, INSERT, UPDATE ON docket.job_schedules TO docket_app;

-- Jobs of the platform are its own, and so is the record of who enqueued, cancelled or redrove them: it needs a row.
SELECT set_config('docket.tenant', '00000000-0000-0000-0000-000000000000', true);
INSERT INTO docket.tenants (id, name, display_name, created_at)
VALUES ('00000000-0000-0000-0000-000000000000', 'platform', 'The platform', now()) ON CONFLICT DO NOTHING;
SELECT set_config('docket.tenant', '', true);

-- A worker serves all tenants, the role of the service sees one at a time. What crosses that line is in the functions
-- below and nowhere else: they run as their owner, and only the owner has these policies. (On a server where the owner is
-- a superuser it needs none; on a managed one it does.)
CREATE POLICY queue_functions ON docket.job_workers TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY queue_functions ON docket.jobs TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY queue_functions ON docket.finished_jobs TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY queue_functions ON docket.idempotency_keys TO CURRENT_USER USING (true) WITH CHECK (true);

-- A worker announces itself, and from now on holds what it claims for as long as it renews its lease.
CREATE FUNCTION docket.register_worker(p_worker uuid, p_name text, p_lease interval) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ INSERT INTO docket.job_workers (id, name, expires_at) VALUES (p_worker, p_name, clock_timestamp() + p_lease) $$;

-- Takes up to `p_wanted` jobs of each kind that are due, best lane first, oldest first in a lane.
--
-- `p_from_at` and `p_from_id` hold five positions a kind, one for each lane, before which the caller knows that nothing
-- waits: index entries of rows that were claimed and deleted, but that a long transaction elsewhere keeps from being
-- removed, are not visited again and again. The plans must not depend on statistics, hence the settings.
CREATE FUNCTION docket.claim_jobs(p_worker uuid, p_kinds text[], p_wanted integer[], p_from_at timestamptz[], p_from_id uuid[])
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
    FROM ranked r
    WHERE j.ctid = r.place AND r.rank <= r.wanted
    RETURNING j.tenant_id, j.id, j.kind, j.payload::text, j.lane, j.run_at, j.attempt, j.lease_token, j.requested_by,
              j.traceparent, (extract(epoch FROM v_now - j.run_at) * 1000)::bigint;
END
$$;

-- Ends jobs that leave nothing behind; those whose token is not theirs any more are left alone. Returns how many ended.
CREATE FUNCTION docket.complete_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
    SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_ended bigint;
BEGIN
    DELETE FROM docket.jobs j USING unnest(p_tenants, p_ids, p_tokens) AS g (tenant_id, id, token)
    WHERE j.tenant_id = g.tenant_id AND j.id = g.id AND j.lease_token = g.token AND j.worker_id IS NOT NULL;
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    RETURN v_ended;
END
$$;

-- Ends jobs otherwise: 'retry' puts a job back with a delay, every other verdict is the state it is kept under. Fenced
-- like the above.
CREATE FUNCTION docket.settle_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[], p_verdicts text[],
                                   p_delays_ms bigint[], p_errors text[], p_results text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
    AS $$
DECLARE
    v_settled bigint;
BEGIN
    WITH given AS (
        SELECT * FROM unnest(p_tenants, p_ids, p_tokens, p_verdicts, p_delays_ms, p_errors, p_results)
            AS g (tenant_id, id, token, verdict, delay_ms, error, result)
    ),
    ended AS (
        DELETE FROM docket.jobs j USING given g
        WHERE j.tenant_id = g.tenant_id AND j.id = g.id AND j.lease_token = g.token AND j.worker_id IS NOT NULL
          AND g.verdict <> 'retry'
        RETURNING j.*, g.verdict, g.error, g.result
    ),
    kept AS (
        INSERT INTO docket.finished_jobs (tenant_id, id, kind, state, payload, priority, attempt, unique_key, lease_token,
                                          result, error, requested_by, traceparent, created_at, claimed_at)
        SELECT e.tenant_id, e.id, e.kind, e.verdict, e.payload, e.priority, e.attempt, e.unique_key, e.lease_token,
               e.result::json, e.error, e.requested_by, e.traceparent, e.created_at, e.claimed_at
        FROM ended e
    ),
    again AS (
        UPDATE docket.jobs j
        SET worker_id = NULL, lane = j.priority, lease_token = j.lease_token + 1, last_error = g.error, progress = NULL,
            run_at = clock_timestamp() + g.delay_ms * interval '1 millisecond'
        FROM given g
        WHERE j.tenant_id = g.tenant_id AND j.id = g.id AND j.lease_token = g.token AND j.worker_id IS NOT NULL
          AND g.verdict = 'retry'
        RETURNING j.id
    )
    SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM again) INTO v_settled;
    RETURN v_settled;
END
$$;

-- Renews the lease of a worker, and thereby of all it holds; answers with those of its jobs that somebody wants cancelled.
-- Losing a heartbeat in a crash of the server costs nothing but an earlier end of the lease.
CREATE FUNCTION docket.heartbeat_worker(p_worker uuid, p_lease interval)
    RETURNS TABLE (tenant_id uuid, id uuid, lease_token bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE docket.job_workers w SET expires_at = clock_timestamp() + p_lease WHERE w.id = p_worker;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is given up', p_worker USING ERRCODE = 'DK010';
    END IF;
    RETURN QUERY SELECT j.tenant_id, j.id, j.lease_token FROM docket.jobs j
        WHERE j.cancel_requested AND j.worker_id = p_worker;
END
$$;

-- Gives up workers whose lease has ended, and puts what they held first in line. Returns the number of jobs.
CREATE FUNCTION docket.reap_workers() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $$
DECLARE
    v_jobs bigint;
BEGIN
    WITH expired AS (
        SELECT w.id FROM docket.job_workers w WHERE w.expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED
    ),
    given_up AS (
        DELETE FROM docket.job_workers w USING expired e WHERE w.id = e.id RETURNING w.id
    ),
    returned AS (
        UPDATE docket.jobs j
        SET worker_id = NULL, lane = 0, lease_token = j.lease_token + 1, progress = NULL,
            last_error = 'the worker that held it stopped answering'
        FROM given_up g WHERE j.worker_id = g.id
        RETURNING j.id
    )
    SELECT count(*) FROM returned INTO v_jobs;
    RETURN v_jobs;
END
$$;

-- A worker leaves: what it still holds goes back as if it had not been taken. Returns the number of jobs.
CREATE FUNCTION docket.retire_worker(p_worker uuid) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    AS $$
DECLARE
    v_jobs bigint;
BEGIN
    DELETE FROM docket.job_workers w WHERE w.id = p_worker;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE docket.jobs j
    SET worker_id = NULL, lane = 0, lease_token = j.lease_token + 1, attempt = greatest(j.attempt - 1, 0), progress = NULL
    WHERE j.worker_id = p_worker;
    GET DIAGNOSTICS v_jobs = ROW_COUNT;
    RETURN v_jobs;
END
$$;

-- How much waits and how long the oldest has been due, for gauges; counting ends at `p_cap`.
CREATE FUNCTION docket.job_depths(p_kinds text[], p_cap integer)
    RETURNS TABLE (kind text, waiting bigint, oldest_ms bigint, dead bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    AS $$
BEGIN
    RETURN QUERY
    SELECT k.kind,
           (SELECT count(*) FROM (SELECT FROM docket.jobs j WHERE j.worker_id IS NULL AND j.kind = k.kind LIMIT p_cap) w),
           (SELECT greatest(max(extract(epoch FROM clock_timestamp() - o.run_at) * 1000), 0)::bigint
            FROM generate_series(0, 4) AS l (lane) CROSS JOIN LATERAL (
                SELECT j.run_at FROM docket.jobs j WHERE j.worker_id IS NULL AND j.kind = k.kind AND j.lane = l.lane
                ORDER BY j.run_at LIMIT 1) o),
           (SELECT count(*) FROM (SELECT FROM docket.finished_jobs f
                                  WHERE f.state = 'dead' AND f.kind = k.kind LIMIT p_cap) d)
    FROM unnest(p_kinds) AS k (kind);
END
$$;

-- Moves a schedule to a tick and enqueues its jobs, one for each tenant given, unless another process was faster or the
-- job of an earlier tick still waits or runs. Returns how many were enqueued; none when the tick is not new.
CREATE FUNCTION docket.fire_schedule(p_name text, p_tick timestamptz, p_kind text, p_payload text, p_tenants uuid[],
                                     p_ids uuid[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    v_jobs bigint;
BEGIN
    UPDATE docket.job_schedules s SET last_tick = p_tick WHERE s.name = p_name AND s.last_tick < p_tick;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, unique_key, requested_by, created_at)
    SELECT g.tenant_id, g.id, p_kind, p_payload::json, 3, 3, clock_timestamp(), 'schedule:' || p_name,
           '00000000-0000-0000-0000-000000000000', clock_timestamp()
    FROM unnest(p_tenants, p_ids) AS g (tenant_id, id)
    ON CONFLICT (tenant_id, kind, unique_key) WHERE unique_key IS NOT NULL DO NOTHING;
    GET DIAGNOSTICS v_jobs = ROW_COUNT;
    RETURN v_jobs;
END
$$;
CREATE POLICY queue_functions ON docket.job_schedules TO CURRENT_USER USING (true) WITH CHECK (true);

-- Housekeeping over all tenants, a batch at a time. Keys are kept an hour longer than promised, because the service's
-- clock set their end and the database's ends them.
CREATE FUNCTION docket.purge_idempotency_keys(p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM docket.idempotency_keys k WHERE k.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.idempotency_keys o WHERE o.expires_at < clock_timestamp() - interval '1 hour'
        ORDER BY o.expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

-- Dead letters are kept until they are redriven or as old as `p_dead_before` says; the rest as `p_before` says.
CREATE FUNCTION docket.purge_finished_jobs(p_before interval, p_dead_before interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM docket.finished_jobs f WHERE f.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.finished_jobs o
        WHERE o.finished_at < clock_timestamp() - least(p_before, p_dead_before)
          AND o.finished_at < clock_timestamp() - CASE WHEN o.state = 'dead' THEN p_dead_before ELSE p_before END
        ORDER BY o.finished_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;

-- By default every role may call a function; these are for the service alone.
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'docket' AND p.prosecdef
          AND p.proname IN ('register_worker', 'claim_jobs', 'complete_jobs', 'settle_jobs', 'heartbeat_worker',
                            'reap_workers', 'retire_worker', 'job_depths', 'fire_schedule', 'purge_idempotency_keys',
                            'purge_finished_jobs')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO docket_app', v_function);
    END LOOP;
END
$$;
