-- Three functions of the queue and the relay; no table changes, no lock beyond the functions' own rows, a few milliseconds.
-- Replicas of the release before go on with the new functions as they did with the old ones.

-- Somebody may change a job between the look for its place and its deletion, for instance ask for its end: it is at another
-- place then, and nothing was deleted. Who ended fewer than were given looks a second time, with the eyes of a new statement;
-- what is still not there is another's. Most batches end whole and look once.
CREATE OR REPLACE FUNCTION docket.complete_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
    SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_gone bigint;
    v_ended bigint := 0;
BEGIN
    FOR v_look IN 1..2 LOOP
        DELETE FROM docket.jobs d WHERE d.ctid = ANY (ARRAY(
            SELECT h.place
            FROM unnest(p_tenants, p_ids, p_tokens) AS g (tenant_id, id, token) CROSS JOIN LATERAL (
                SELECT j.ctid AS place FROM docket.jobs j
                WHERE j.tenant_id = g.tenant_id AND j.id = g.id AND j.lease_token = g.token
                  AND coalesce(j.worker_id, '00000000-0000-0000-0000-000000000000') <> '00000000-0000-0000-0000-000000000000'
                LIMIT 1) h));
        GET DIAGNOSTICS v_gone = ROW_COUNT;
        v_ended := v_ended + v_gone;
        EXIT WHEN v_ended >= cardinality(p_ids);
    END LOOP;
    RETURN v_ended;
END
$$;

-- A claim whose answer was lost may have been committed: the worker holds jobs that it does not know of. What it holds beside
-- those it names goes back as if it had not been taken. Returns the number of jobs.
CREATE FUNCTION docket.release_unknown(p_worker uuid, p_ids uuid[], p_tokens bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    AS $$
DECLARE
    v_jobs bigint;
BEGIN
    -- A claim that is still under way holds a lock on this row: what it takes is seen below.
    PERFORM FROM docket.job_workers w WHERE w.id = p_worker FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is given up', p_worker USING ERRCODE = 'DK010';
    END IF;
    UPDATE docket.jobs j
    SET worker_id = NULL, lane = 0, lease_token = j.lease_token + 1, attempt = greatest(j.attempt - 1, 0), progress = NULL
    WHERE j.worker_id = p_worker
      AND NOT EXISTS (SELECT FROM unnest(p_ids, p_tokens) AS k (id, token) WHERE k.id = j.id AND k.token = j.lease_token);
    GET DIAGNOSTICS v_jobs = ROW_COUNT;
    RETURN v_jobs;
END
$$;
REVOKE ALL ON FUNCTION docket.release_unknown(uuid, uuid[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.release_unknown(uuid, uuid[], bigint[]) TO docket_app;

-- What waits for an endpoint that is disabled is counted, but it is not late: nobody is to be told.
CREATE OR REPLACE FUNCTION docket.relay_waiting()
    RETURNS TABLE (sink text, pending bigint, dead bigint, parked bigint, oldest_seconds double precision) LANGUAGE plpgsql AS $$
DECLARE
    tenants uuid[];
    one uuid;
BEGIN
    PERFORM set_config('docket.tenant', '00000000-0000-0000-0000-000000000000', true);
    SELECT coalesce(array_agg(id), '{}') INTO tenants FROM docket.tenants
    WHERE id <> '00000000-0000-0000-0000-000000000000';
    FOREACH one IN ARRAY tenants LOOP
        PERFORM set_config('docket.tenant', one::text, true);
        RETURN QUERY
            SELECT coalesce(l.sink, 'webhook'), sum(l.pending)::bigint, count(*) FILTER (WHERE l.state = 'dead'),
                   coalesce(sum(l.pending - 1) FILTER (WHERE l.state = 'dead'), 0)::bigint,
                   coalesce(extract(epoch FROM now() - min(l.waiting_since) FILTER (WHERE l.sink IS NOT NULL OR w.enabled)),
                            0)::double precision
            FROM docket.delivery_lanes l
            LEFT JOIN docket.webhook_endpoints w ON w.tenant_id = l.tenant_id AND w.id = l.destination_id
            WHERE l.tenant_id = one GROUP BY 1;
        -- What a reader has not come to yet: its age is that of the first event behind its cursor.
        RETURN QUERY
            SELECT CASE c.reader WHEN 'webhooks' THEN 'webhook' ELSE c.reader END, 0::bigint, 0::bigint, 0::bigint,
                   extract(epoch FROM now() - first.occurred_at)::double precision
            FROM docket.relay_cursors c
            CROSS JOIN LATERAL (SELECT e.occurred_at FROM docket.outbox_events e
                                WHERE e.tenant_id = one AND (e.transaction_id, e.id) > (c.transaction_id, c.event_id)
                                ORDER BY e.transaction_id, e.id LIMIT 1) AS first
            WHERE c.tenant_id = one;
    END LOOP;
    PERFORM set_config('docket.tenant', '', true);
END
$$;
