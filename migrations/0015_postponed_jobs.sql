-- Puts jobs back with a delay and without counting the attempt: what the job needs is down, and that is not the job's fault.
-- Fenced like every other end.
CREATE FUNCTION docket.postpone_jobs(p_tenants uuid[], p_ids uuid[], p_tokens bigint[], p_delays_ms bigint[], p_errors text[])
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    v_given record;
    v_postponed bigint := 0;
BEGIN
    FOR v_given IN
        -- In one order everywhere, so that two batches never wait for each other.
        SELECT * FROM unnest(p_tenants, p_ids, p_tokens, p_delays_ms, p_errors)
            AS g (tenant_id, id, token, delay_ms, error) ORDER BY g.tenant_id, g.id
    LOOP
        UPDATE docket.jobs j
        SET worker_id = NULL, lane = j.priority, lease_token = j.lease_token + 1, last_error = v_given.error,
            attempt = greatest(j.attempt - 1, 0), progress = NULL,
            run_at = clock_timestamp() + v_given.delay_ms * interval '1 millisecond'
        WHERE j.tenant_id = v_given.tenant_id AND j.id = v_given.id AND j.lease_token = v_given.token
          AND coalesce(j.worker_id, '00000000-0000-0000-0000-000000000000') <> '00000000-0000-0000-0000-000000000000';
        v_postponed := v_postponed + CASE WHEN FOUND THEN 1 ELSE 0 END;
    END LOOP;
    RETURN v_postponed;
END
$$;
REVOKE ALL ON FUNCTION docket.postpone_jobs(uuid[], uuid[], bigint[], bigint[], text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.postpone_jobs(uuid[], uuid[], bigint[], bigint[], text[]) TO docket_app;
